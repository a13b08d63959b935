import { mkdtempSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { masked } from '../core/masks.ts'
import { VERSION } from '../core/version.ts'
import { oneLine } from '../core/text.ts'
import { makeDirectory } from './make-directory.ts'
import { currentUser, resolvePaths } from './paths.ts'

/** Writes down what is known about an exception that nobody expected; returns what to tell the person. */
export function reportBug(error: unknown, argv: readonly string[]): [said: string, next: string] {
  const message = masked(error instanceof Error ? `${error.name}: ${error.message}` : String(error))
  const said = `vosctl: this is a bug in vosctl: ${oneLine(message, 300)}`
  const goesOn = 'What runs in the daemon goes on: vosctl ps'
  const file = [stateDirectory, temporaryDirectory].reduce<string | null>(
    (file, place) => file ?? write(place, argv, error),
    null,
  )
  return [said, file ? `  Please send ${file}. ${goesOn}` : `  No report could be written. ${goesOn}`]
}

/** The file; null when this place cannot be used. */
function write(place: (argv: readonly string[]) => string, argv: readonly string[], error: unknown): string | null {
  const lines = [
    `vosctl ${VERSION}, Node ${process.versions.node}, ${process.platform} ${process.arch}`,
    `time: ${new Date().toISOString()}`,
    // No secret is in it: those are read from a terminal or from standard input only.
    `command: ${JSON.stringify(argv)}`,
    ...stacks(error),
  ]
  try {
    const file = path.join(place(argv), `report-${Date.now()}-${process.pid}.txt`)
    writeFileSync(file, `${masked(lines.join('\n'))}\n`, { mode: 0o600, flag: 'wx' })
    return file
  } catch {
    return null
  }
}

function stateDirectory(argv: readonly string[]): string {
  // Read from the raw words: the bug may be in the parser.
  const index = argv.findLastIndex((word) => word === '--state-dir')
  const flag = index === -1 ? undefined : argv[index + 1]
  const home = flag === undefined ? currentUser().home : ''
  const directory = resolvePaths(process.env, flag, home).stateDirectory
  makeDirectory(directory)
  return directory
}

function temporaryDirectory(): string {
  return mkdtempSync(path.join(os.tmpdir(), 'vosctl-report-'))
}

function stacks(error: unknown): string[] {
  if (!(error instanceof Error)) return [String(error)]
  const own = error.stack ?? error.message
  return error.cause === undefined ? [own] : [own, 'caused by:', ...stacks(error.cause)]
}
