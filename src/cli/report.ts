import type { VosError } from '../core/errors.ts'
import { oneLine } from '../core/text.ts'
import { cleanDeviceLine } from './renderers/words.ts'

/** How an error looks on a screen: what happened, what the device said, what to do next. */
export function errorLines(error: Pick<VosError, 'message' | 'hint' | 'deviceLines'>): string[] {
  const lines = [`vosctl: ${oneLine(error.message, 1000)}`]
  for (const line of error.deviceLines.slice(-12)) lines.push(`    ${cleanDeviceLine(line)}`)
  if (error.hint !== '') lines.push(`  ${oneLine(error.hint, 1000)}`)
  return lines
}
