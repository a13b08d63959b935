import { accessSync, constants } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Where daemons live that are not on everybody's path. */
const EXTRA = ['/usr/sbin', '/sbin', '/usr/local/sbin']

/**
 * The path of a program that a test needs, or null: then the test skips itself, visibly. With `VOSCTL_TEST_ALL=1`, as in
 * CI, nothing may be skipped and a missing program fails.
 */
export function requireTool(name: string): string | null {
  for (const directory of [...(process.env['PATH'] ?? '').split(delimiter), ...EXTRA]) {
    const path = join(directory, name)
    try {
      accessSync(path, constants.X_OK)
      return path
    } catch {
      continue
    }
  }
  if (process.env['VOSCTL_TEST_ALL'] === '1')
    throw new Error(`This test needs ${name}, and VOSCTL_TEST_ALL forbids to skip it.`)
  return null
}
