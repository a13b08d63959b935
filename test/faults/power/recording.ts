import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import type { RecordedEvent } from '../../../src/core/operation.ts'
import { DiskCalls } from './disk-calls.ts'
import { EVERYTHING, File, Folder, type Fate } from './disk.ts'
import type { Call } from './strace.ts'

/** A real run of the real daemon: everything that it did to the disk, and everything that it let anybody know. */
export interface Recording {
  readonly name: string
  /** The directory that it is about. */
  readonly root: string
  /** As it was before, all of it durable. */
  readonly before: Tree
  /** Of each daemon that ran, one after the other. */
  readonly calls: readonly (readonly Call[])[]
  /** The whole journal at the end. */
  readonly journal: readonly RecordedEvent[]
}

export type Tree = ReadonlyMap<string, Buffer | Tree>

/** Files and directories; sockets are not on the disk in any sense that matters. */
export function readTree(directory: string): Tree {
  const tree = new Map<string, Buffer | Tree>()
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const place = path.join(directory, entry.name)
    if (entry.isDirectory()) tree.set(entry.name, readTree(place))
    else if (entry.isFile()) tree.set(entry.name, readFileSync(place))
  }
  return tree
}

export function writeTree(tree: Tree, directory: string): void {
  mkdirSync(directory, { mode: 0o700 })
  for (const [name, node] of tree) {
    const place = path.join(directory, name)
    if (Buffer.isBuffer(node)) writeFileSync(place, node, { mode: 0o600 })
    else writeTree(node, place)
  }
}

function toFolder(tree: Tree): Folder {
  const entries = [...tree].map(
    ([name, node]) => [name, Buffer.isBuffer(node) ? new File(node) : toFolder(node)] as const,
  )
  return new Folder(new Map(entries))
}

/** The files as they are found after a power cut. */
export function afterPowerCut(folder: Folder, fate: Fate): Tree {
  const entries = [...folder.after(fate)].map(
    ([name, node]) => [name, node instanceof File ? node.after(fate) : afterPowerCut(node, fate)] as const,
  )
  return new Map(entries)
}

/** A moment between two changes of the disk, as late as can be: with all that was said before the next change. */
export interface Moment {
  readonly disk: Folder
  /** What the daemon has said since the moment before, by the traces of its failpoints. */
  readonly said: readonly string[]
  /** The last change, for a person. */
  readonly what: string
  /** The next change makes something durable: what this moment has lost is lost the longest. */
  readonly isBeforeSync: boolean
  readonly isLast: boolean
}

/** Plays a recording; the disk of a moment is good until the next one is asked for. */
export function* replay({ root, before, calls: daemons }: Recording): Generator<Moment> {
  const disk = toFolder(before)
  let said: string[] = []
  let what = 'nothing yet'
  for (const calls of daemons) {
    const understood = new DiskCalls(root, disk)
    for (const call of calls) {
      said.push(...tracesIn(call))
      const effect = understood.effectOf(call)
      if (!effect) continue
      yield { disk, said, what, isBeforeSync: effect.isSync, isLast: false }
      said = []
      effect.apply()
      ;({ what } = effect)
    }
  }
  yield { disk, said, what, isBeforeSync: true, isLast: true }
}

function tracesIn({ name, words: [descriptor], strings: [bytes] }: Call): string[] {
  if (name !== 'write' || descriptor !== '2') return []
  const lines = String(bytes).split('\n')
  return lines.filter((line) => line.startsWith('failpoint '))
}

/** Whether the recorded calls explain every byte that is there now: else the recorder has overlooked something. */
export function differences(found: Tree, disk: Tree, where = ''): string[] {
  return [...new Set([...found.keys(), ...disk.keys()])].flatMap((name) => {
    const [one, other] = [found.get(name), disk.get(name)]
    const place = path.join(where, name)
    if (Buffer.isBuffer(one) && Buffer.isBuffer(other)) return one.equals(other) ? [] : [place]
    if (one && other && !Buffer.isBuffer(one) && !Buffer.isBuffer(other)) return differences(one, other, place)
    return [place]
  })
}

/** What is there at the end, when nothing is lost. */
export function lastTree(recording: Recording): Tree {
  let tree: Tree = new Map()
  for (const { disk, isLast } of replay(recording)) if (isLast) tree = afterPowerCut(disk, EVERYTHING)
  return tree
}
