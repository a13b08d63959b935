/** Which part of what was not synced is on the disk after the power cut. */
export interface Fate {
  readonly write: () => 'survives' | 'vanishes' | 'tears'
  /** Of a torn write: whether this sector of it is there. */
  readonly sector: () => boolean
  /** One of several states that follow one another, the durable one first. */
  readonly state: <T>(states: readonly T[]) => T
}

export const EVERYTHING: Fate = {
  write: () => 'survives',
  sector: () => true,
  state: (states) => states.at(-1) as (typeof states)[number],
}

export const NOTHING: Fate = {
  write: () => 'vanishes',
  sector: () => false,
  state: (states) => states[0] as (typeof states)[number],
}

const SECTOR = 512

type Change =
  | { readonly type: 'write'; readonly offset: number; readonly bytes: Buffer }
  | { readonly type: 'truncate'; readonly size: number }

/** A file: what is surely on the disk, and what has happened to it since its last sync. */
export class File {
  #durable: Buffer
  #changes: Change[] = []
  #size: number

  constructor(durable: Buffer) {
    this.#durable = durable
    this.#size = durable.length
  }

  get size(): number {
    return this.#size
  }

  write(offset: number, bytes: Buffer): void {
    this.#changes.push({ type: 'write', offset, bytes })
    this.#size = Math.max(this.#size, offset + bytes.length)
  }

  truncate(size: number): void {
    this.#changes.push({ type: 'truncate', size })
    this.#size = size
  }

  sync(): void {
    this.#durable = this.after(EVERYTHING)
    this.#changes = []
  }

  /** What is read from it after a power cut. */
  after(fate: Fate): Buffer {
    if (this.#changes.length === 0) return this.#durable
    const sizes = [this.#durable.length]
    for (const change of this.#changes) {
      const size = change.type === 'truncate' ? change.size : change.offset + change.bytes.length
      if (change.type === 'truncate' || size > (sizes.at(-1) ?? 0)) sizes.push(size)
    }
    const content = Buffer.alloc(Math.max(...sizes))
    this.#durable.copy(content)
    for (const change of this.#changes) {
      const how = fate.write()
      if (how === 'vanishes') continue
      if (change.type === 'truncate') content.fill(0, change.size)
      else if (how === 'survives') change.bytes.copy(content, change.offset)
      else tear(change, content, fate)
    }
    return content.subarray(0, fate.state(sizes))
  }
}

/** The disk writes whole sectors of its own, wherever in them the write began. */
function tear({ offset, bytes }: Extract<Change, { type: 'write' }>, content: Buffer, fate: Fate): void {
  for (let from = 0; from < bytes.length;) {
    const to = Math.min(bytes.length, from + SECTOR - ((offset + from) % SECTOR))
    if (fate.sector()) bytes.copy(content, offset + from, from, to)
    from = to
  }
}

/** A directory: which names are surely on the disk, and what has happened to them since its last sync. */
export class Folder {
  #durable: ReadonlyMap<string, File | Folder>
  #changes: { readonly name: string; readonly node: File | Folder | null }[] = []

  constructor(durable: ReadonlyMap<string, File | Folder> = new Map()) {
    this.#durable = durable
  }

  get(name: string): File | Folder | undefined {
    const change = this.#changes.findLast((each) => each.name === name)
    return change ? (change.node ?? undefined) : this.#durable.get(name)
  }

  /** A new name for a file, another file for a name, or with null the end of a name. */
  set(name: string, node: File | Folder | null): void {
    this.#changes.push({ name, node })
  }

  sync(): void {
    this.#durable = this.after(EVERYTHING)
    this.#changes = []
  }

  /** What is found in it after a power cut. */
  after(fate: Fate): ReadonlyMap<string, File | Folder> {
    const entries = new Map(this.#durable)
    for (const [name, changes] of Map.groupBy(this.#changes, (change) => change.name)) {
      const node = fate.state([this.#durable.get(name) ?? null, ...changes.map((change) => change.node)])
      if (node) entries.set(name, node)
      else entries.delete(name)
    }
    return entries
  }
}
