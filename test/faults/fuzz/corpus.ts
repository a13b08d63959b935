import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { ROOT } from '../root.ts'

const CORPUS = path.join(ROOT, 'test', 'faults', 'fuzz', 'corpus')

/** What was worth keeping: inputs that broke something once, and those that reach what is hard to reach. */
export function corpusOf(target: string): Buffer[] {
  const directory = placeOf(target)
  if (!existsSync(directory)) return []
  return readdirSync(directory)
    .toSorted()
    .map((name) => readFileSync(path.join(directory, name)))
}

/** Keeps an input when the run was asked to make the corpus grow: a run with planted bugs must not. */
export function keep(target: string, input: Uint8Array): void {
  if (process.env['VOSCTL_FUZZ_GROW'] !== '1') return
  const directory = placeOf(target)
  mkdirSync(directory, { recursive: true })
  writeFileSync(path.join(directory, createHash('sha256').update(input).digest('hex').slice(0, 12)), input)
}

function placeOf(target: string): string {
  return path.join(CORPUS, target.replaceAll(' ', '-'))
}

/** The transcripts of real devices, each as a whole; without the note on where it is from. */
export function transcripts(): { readonly name: string; readonly text: string }[] {
  const directory = path.join(ROOT, 'test', 'transcripts')
  return readdirSync(directory)
    .toSorted()
    .map((name) => ({ name, text: readFileSync(path.join(directory, name), 'utf8').replace(/^#.*\n/, '') }))
}
