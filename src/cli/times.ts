import { formatDuration, parseDuration } from '../core/duration.ts'

/** `14:02:11` today, `11-20 14:02` on another day of this year, else the whole date. Local time. */
export function momentWords(at: number, now: number): string {
  const then = new Date(at)
  const today = new Date(now)
  const time = then.toTimeString().slice(0, 8)
  if (then.toDateString() === today.toDateString()) return time
  const day = `${pad(then.getMonth() + 1)}-${pad(then.getDate())} ${time.slice(0, 5)}`
  return then.getFullYear() === today.getFullYear() ? day : `${then.getFullYear()}-${day}`
}

/** `2026-11-22 14:02`: sorts as it reads. Local time. */
export function dateWords(at: number): string {
  const date = new Date(at)
  const day = `${date.getFullYear()}-${pad(date.getMonth() + 1)}-${pad(date.getDate())}`
  return `${day} ${date.toTimeString().slice(0, 5)}`
}

/**
 * The moment that `7d` (so long before `now`), `2026-11-01`, `2026-11-01 14:00` or a time as JSON has it means. Local time
 * where no zone is named. Null for anything else.
 */
export function parseMoment(text: string, now: number): number | null {
  const age = parseDuration(text)
  if (age !== null) return age > 0 ? Math.max(0, Math.round(now - age)) : null
  const parts = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d(?:\.\d+)?)?)(Z|[+-]\d\d:\d\d)?)?$/.exec(text)
  if (!parts) return null
  const [, day = '', time = '00:00', zone = ''] = parts
  // `2026-02-31` would otherwise be a day in March.
  if (Number.isNaN(Date.parse(day)) || new Date(day).toISOString().slice(0, 10) !== day) return null
  const at = Date.parse(`${day}T${time}${zone}`)
  return at >= 0 ? at : null
}

/** `0m12s`, `3h05m`, `6d 3h`. */
export function longDuration(ms: number): string {
  const hours = Math.floor(ms / 3_600_000)
  return hours < 24 ? formatDuration(ms) : `${Math.floor(hours / 24)}d ${hours % 24}h`
}

export function ordinal(position: number): string {
  const teens = position % 100 > 10 && position % 100 < 14
  const suffix = teens ? 'th' : ({ 1: 'st', 2: 'nd', 3: 'rd' }[position % 10] ?? 'th')
  return `${position}${suffix}`
}

function pad(value: number): string {
  return String(value).padStart(2, '0')
}
