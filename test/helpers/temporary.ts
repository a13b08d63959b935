import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { afterAll, onTestFinished } from 'vitest'

/** Of a concurrent test its own `onTestFinished`, because the imported one knows only one test at a time. */
export type AtEnd = (end: () => void | Promise<void>) => void

/** A directory for this test alone, with a path short enough for a Unix socket; gone when the test ends. */
export function temporaryDirectory(atEnd: AtEnd = onTestFinished): string {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'vos-'))
  atEnd(() => fs.rmSync(directory, { recursive: true, force: true }))
  return directory
}

/** For what several tests share: the last one first, when all of them have ended. Called where tests are collected. */
export function atEndOfAll(): AtEnd {
  const ends: Parameters<AtEnd>[0][] = []
  afterAll(async () => {
    for (const end of ends.toReversed()) await end()
  })
  return (end) => void ends.push(end)
}
