import { describe, expect, test } from 'vitest'
import { requireTool } from '../helpers/tools.ts'
import { RIGS } from './rigs.ts'

/** What the rigs have found, each as the one case that showed it. */
const FOUND: readonly {
  readonly story: string
  readonly rig: string
  readonly only: RegExp
  readonly needs?: string
}[] = [
  {
    story: 'a disk that fails at the first write of a daemon is named to the person, without a stack trace',
    rig: 'syscalls',
    only: /^restart fsync#1 EIO$/,
    needs: 'strace',
  },
  {
    story: 'SIGTERM right after the start is heeded, it does not end the daemon in the middle of its recovery',
    rig: 'kills',
    only: /^restart (drain|server|store)[.]/,
  },
  {
    story: 'a disk that is full for one write while a house is made leaves no half of a database under its name',
    rig: 'syscalls',
    only: /^first steps pwrite64#8[789] ENOSPC$/,
    needs: 'strace',
  },
  {
    story: 'a file that cannot be removed at the end does not end the daemon with a stack trace',
    rig: 'syscalls',
    only: /^restart unlink#[12] EIO$/,
    needs: 'strace',
  },
]

describe('found by a rig', () => {
  for (const { story, rig, only, needs } of FOUND) {
    test.skipIf(needs !== undefined && requireTool(needs) === null)(
      `found: ${story}`,
      { timeout: 120_000 },
      async () => {
        const entry = RIGS.find(({ name }) => name === rig)
        const run = await entry?.load()
        const report = await run?.({ cases: Infinity, seed: 1, only, say: () => undefined })
        expect(report?.violations).toEqual([])
        expect(report?.cases).toBeGreaterThan(0)
      },
    )
  }
})
