/** What a rig is asked to do. */
export interface RigOptions {
  /** How many cases; a rig spreads them over all its kinds and never drops a kind. */
  readonly cases: number
  /** Decides everything that is left to chance: the same seed makes the same cases. */
  readonly seed: number
  /** Only the cases whose name this matches, where a rig names its cases. */
  readonly only?: RegExp
  /** Progress for a person. */
  readonly say: (line: string) => void
}

/** What a rig did and what it found. */
export interface RigReport {
  readonly cases: number
  /** A sentence each, with all that is needed to see it again. */
  readonly violations: readonly string[]
  /** What was measured, for the report. */
  readonly facts?: Readonly<Record<string, number | string>>
}

/** An attack on the real thing, with a judge of its own. */
export type Rig = (options: RigOptions) => Promise<RigReport>
