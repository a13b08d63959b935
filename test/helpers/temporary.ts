import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { onTestFinished } from 'vitest'

/** Of a concurrent test its own `onTestFinished`, because the imported one knows only one test at a time. */
export type AtEnd = (end: () => void | Promise<void>) => void

/** A directory for this test alone, with a path short enough for a Unix socket; gone when the test ends. */
export function temporaryDirectory(atEnd: AtEnd = onTestFinished): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'vos-'))
  atEnd(() => fs.rmSync(directory, { recursive: true, force: true }))
  return directory
}
