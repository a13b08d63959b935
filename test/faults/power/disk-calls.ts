import path from 'node:path'
import { File, Folder } from './disk.ts'
import type { Call } from './strace.ts'

/** What a call does to the disk. */
export interface Effect {
  /** For a person: `fsync vosctl.db-wal`. */
  readonly what: string
  readonly isSync: boolean
  readonly apply: () => void
}

interface Descriptor {
  readonly name: string
  readonly node: File | Folder
  /** Where the next `write` goes. */
  position: number
}

/** Understands the calls of one process on what is below `root`. */
export class DiskCalls {
  readonly #root: string
  readonly #disk: Folder
  readonly #descriptors = new Map<number, Descriptor>()

  constructor(root: string, disk: Folder) {
    this.#root = root
    this.#disk = disk
  }

  /** What is still to be applied, or null when the call leaves the disk as it is. */
  effectOf({ name, words, strings, result }: Call): Effect | null {
    const [word = '', size = '', offset = ''] = words
    const [first, second] = strings
    const call = name.replace(/at2?$/, '')
    if (first && call === 'open') return this.#open(first, words.join(), result)
    if (first && call === 'mkdir') return this.#put(call, first, new Folder())
    if (first && (call === 'unlink' || call === 'rmdir')) return this.#find(first) ? this.#put(call, first, null) : null
    if (first && second && call === 'link') return this.#put(call, second, this.#find(first))
    if (first && second && call === 'rename') {
      const to = this.#put(call, second, this.#find(first))
      const from = this.#put(call, first, null)
      return to && from && { ...to, apply: () => void [to.apply(), from.apply()] }
    }

    const opened = this.#descriptors.get(Number(word))
    if (call === 'close') this.#descriptors.delete(Number(word))
    if (!opened || call === 'close') return null
    const { node } = opened
    const effect = { what: `${call} ${opened.name}`, isSync: false }
    if (call === 'fsync' || call === 'fdatasync') return { ...effect, isSync: true, apply: () => node.sync() }
    if (node instanceof Folder) return null
    if (call === 'ftruncate') return { ...effect, apply: () => node.truncate(Number(size)) }
    if (!first || (call !== 'write' && call !== 'pwrite64')) return null
    const at = call === 'write' ? opened.position : Number(offset)
    if (call === 'write') opened.position += result
    return { ...effect, what: `${effect.what} at ${at}`, apply: () => node.write(at, first.subarray(0, result)) }
  }

  #open(file: Buffer, flags: string, descriptor: number): Effect | null {
    const place = this.#place(file)
    if (!place) return null
    const { folder, name } = place
    const found = name === '' ? folder : folder.get(name)
    const node = found ?? new File(Buffer.alloc(0))
    this.#descriptors.set(descriptor, { name, node, position: 0 })
    const what = `open ${name}`
    if (!found) return { what, isSync: false, apply: () => folder.set(name, node) }
    const isEmptied = node instanceof File && node.size > 0 && flags.includes('O_TRUNC')
    return isEmptied ? { what, isSync: false, apply: () => node.truncate(0) } : null
  }

  #put(call: string, file: Buffer, node: File | Folder | null | undefined): Effect | null {
    const place = this.#place(file)
    if (!place || node === undefined) return null
    const { folder, name } = place
    return { what: `${call} ${name}`, isSync: false, apply: () => folder.set(name, node) }
  }

  #find(file: Buffer): File | Folder | undefined {
    const place = this.#place(file)
    return place?.folder.get(place.name)
  }

  /** The directory that holds a path, and its name there; the name of the root itself is empty. */
  #place(file: Buffer): { readonly folder: Folder; readonly name: string } | undefined {
    const relative = path.relative(this.#root, file.toString())
    if (relative.startsWith('..')) return undefined
    const names = relative.split(path.sep)
    let folder = this.#disk
    for (const name of names.slice(0, -1)) {
      const next = folder.get(name)
      if (!(next instanceof Folder)) return undefined
      folder = next
    }
    return { folder, name: names.at(-1) ?? '' }
  }
}
