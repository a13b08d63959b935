import path from 'node:path'
import { VosError } from '../core/errors.ts'
import { inspectFile } from '../core/ownership.ts'
import { look } from './look.ts'

/** Why somebody else could put another file or directory in this one's place, or write it; null: nobody could. */
export function distrust(file: string): string | null {
  const self = process.geteuid?.()
  if (self === undefined) return null
  try {
    return inspectFile(path.resolve(file), self, look)?.message.replace(/\.$/, '') ?? null
  } catch (error) {
    if (error instanceof VosError) return error.message.replace(/\.$/, '')
    throw error
  }
}
