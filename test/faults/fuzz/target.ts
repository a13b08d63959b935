import { Random } from '../random.ts'

/** Something that takes any bytes, and the properties that must hold whatever they are. */
export interface Target {
  readonly name: string
  /** Its part of all executions. */
  readonly share: number
  /** Where mutation begins, beside what the corpus holds for it. */
  readonly seeds: readonly Uint8Array[]
  /** Pieces that mean something to it. */
  readonly words: readonly string[]
  /** A mutation that knows the input's grammar; without it bytes are mutated. */
  readonly mutate?: Mutate
  /**
   * Tries one input and says in a few words what happened: an input that makes something new happen is built upon.
   * @throws when a property does not hold
   */
  readonly run: (input: Uint8Array) => string
}

export type Mutate = (input: Uint8Array, random: Random) => Uint8Array

/** One line that a terminal can only print; tabs are not in it. */
export const SAFE = /^[^\p{Cc}\p{Cs}\p{Default_Ignorable_Code_Point}\u2028\u2029]*$/u

/** @throws Error with what was claimed and is not so */
export function claim(holds: boolean, what: string): asserts holds {
  if (!holds) throw new Error(what)
}

/** Chance that depends on the input alone, so that an input is its own reproduction. */
export function chanceOf(input: Uint8Array): Random {
  let hash = 0x811c9dc5
  for (const byte of input) hash = Math.imul(hash ^ byte, 0x01000193)
  return new Random(hash)
}

/** `input` in pieces, broken at a few places or, when it is not too long for that, after every byte. */
export function split(input: Uint8Array, random: Random): Uint8Array[] {
  if (input.length <= 2048 && random.below(4) === 0) return Array.from(input, (byte) => Uint8Array.of(byte))
  const cuts = Array.from({ length: 1 + random.below(4) }, () => random.below(input.length + 1))
  const at = [0, ...cuts, input.length].toSorted((a, b) => a - b)
  return at.slice(1).map((end, index) => input.subarray(at[index], end))
}

/** A count in the steps in which it is worth to be told apart. */
export function about(count: number): number {
  return count < 4 ? count : 1 << Math.floor(Math.log2(count))
}
