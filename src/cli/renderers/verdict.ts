import { styleText } from 'node:util'
import { formatDuration } from '../../core/duration.ts'
import { isLook, needsAcknowledgement, type Operation, type RecordedEvent } from '../../core/operation.ts'
import { combineExitStatus, exitStatusFor } from '../../core/verdict.ts'
import { joinLines, type DeviceLine } from './watch-board.ts'
import { cut, displayWidth, fit, spread } from './width.ts'
import {
  aboutWords,
  algorithmWords,
  clean,
  cleanDeviceLine,
  clock,
  endingMark,
  quoted,
  standingAt,
  stateWord,
  tookMs,
  usualWords,
  verdictWord,
  waitingWords,
} from './words.ts'

export type Excerpt = readonly Pick<DeviceLine, 'at' | 'text'>[]

export interface VerdictOptions {
  /** Of the terminal; 0 when nobody knows. */
  readonly columns: number
  /** A person reads them: several lines with what to do next. Otherwise one line each, for a log or a cron mail. */
  readonly tty: boolean
  readonly batch: string | null
  readonly now: number
  /** Several targets: name those that went well too. They already stand above the live part, or on stdout. */
  readonly all?: boolean
  readonly colour?: boolean
  /** What the device printed last, for a single operation that did not go well. */
  readonly excerpt?: Excerpt
}

/**
 * What stays on stderr after the end. Off a terminal a success needs no words; what else a person needs is always there:
 * what happened, whether the device was touched, and the command that comes next.
 */
export function verdictLines(operations: readonly Operation[], options: VerdictOptions): string[] {
  if (!options.tty) return operations.filter(({ status }) => status !== 'completed').map((one) => logLine(one, options))
  const [only] = operations
  if (only && operations.length === 1 && options.batch === null) return paint(linesForOne(only, options), options)
  return paint(linesForSeveral(operations, options), options)
}

/** `r-7k2m9q  cucm-pub  ok  3m41s`: the one line on stdout. */
export function stdoutLine(operation: Operation): string {
  const took = tookMs(operation)
  const { id, connection } = operation
  return [id, clean(connection.name), verdictWord(operation), took === null ? '-' : formatDuration(took)].join('  ')
}

/** `+ web-01   restarted in 0m12s`: one of several, as it stays in scrollback. */
export function endingLine(operation: Operation, nameWidth: number): string {
  return `${endingMark(operation)} ${fit(clean(operation.connection.name), nameWidth)}   ${endingWords(operation)}`
}

/** The last `count` lines that the device printed; one that it said again and again stands at both of its ends. */
export function excerptOf(events: readonly RecordedEvent[], count = 3): Excerpt {
  return joinLines([], events)
    .flatMap(({ at, text, again, lastAt }) =>
      again > 0
        ? [
            { at, text },
            { at: lastAt, text },
          ]
        : [{ at, text }],
    )
    .slice(-count)
}

/** How wide the column of names must be. */
export function widestName(operations: readonly Operation[]): number {
  return Math.min(
    24,
    operations.reduce((width, { connection }) => Math.max(width, displayWidth(connection.name)), 0),
  )
}

function linesForOne(operation: Operation, options: VerdictOptions): string[] {
  const { connection, id } = operation
  const name = clean(connection.name)
  const head = `${endingMark(operation)} ${name}  `
  switch (operation.status) {
    case 'pending':
    case 'in_progress':
      return [`  ${name}  ${runningWords(operation, options.now)}`, `  Follow it: vosctl attach ${id}`]
    case 'completed':
      return successLines(operation, head, options.columns)
    case 'unknown':
      return [
        `${head}outcome unknown: ${sentence(operation)}.`,
        ...section(evidenceLines(operation, options)),
        '',
        ...(needsAcknowledgement(operation)
          ? [
              `  ${name} stays claimed, so nobody restarts it twice by accident.`,
              `    vosctl verify ${id}   look at the device, read-only`,
              `    vosctl ack ${id}      accept and free it`,
            ]
          : [`  Accepted by ${clean(operation.acknowledged?.by ?? '')}; ${name} is free.`]),
      ]
    case 'failed':
      return [
        `${head}${sentence(operation)}${untouchedWords(operation)}.`,
        ...section(evidenceLines(operation, options)),
        ...section([
          ...hintLines(operation.error?.hint ?? ''),
          ...(operation.lastLine === null ? [] : [`  Whole transcript: vosctl logs ${id}`]),
        ]),
      ]
    case 'cancelled':
    case 'interrupted':
      return [`${head}${sentence(operation)}${untouchedWords(operation)}.`, ...hintLines(operation.error?.hint ?? '')]
    default:
      return operation.status satisfies never
  }
}

function linesForSeveral(operations: readonly Operation[], options: VerdictOptions): string[] {
  const nameWidth = widestName(operations)
  const good = operations.filter(({ status }) => status === 'completed')
  const rest = operations.filter(({ status }) => status !== 'completed')
  const next = rest.flatMap((operation) => nextCommand(operation, nameWidth, options))
  return [
    ...(options.all ? good.map((operation) => endingLine(operation, nameWidth)) : []),
    ...rest.map((operation) =>
      exitStatusFor(operation) === null
        ? `  ${fit(clean(operation.connection.name), nameWidth)}   ${runningWords(operation, options.now)}`
        : endingLine(operation, nameWidth),
    ),
    '',
    countLine(operations, options),
    ...section([...next, ...startTheRest(operations, nameWidth)]),
  ]
}

const COUNTED = ['ok', 'failed', 'unknown', 'unreached', 'held', 'busy', 'not started', 'cancelled', 'interrupted']

/** `9 ok, 1 failed, 1 unknown, 1 not started`, in a fixed order. */
export function countWords(operations: readonly Operation[]): string {
  const counts = new Map<string, number>()
  for (const operation of operations) {
    const word = verdictWord(operation)
    counts.set(word, (counts.get(word) ?? 0) + 1)
  }
  const words = [...COUNTED, ...[...counts.keys()].filter((word) => !COUNTED.includes(word))]
  return words.flatMap((word) => (counts.has(word) ? [`${counts.get(word)} ${word}`] : [])).join(', ')
}

/** The exit status that several endings lead to; null while one of them is open. */
export function combinedStatus(operations: readonly Operation[]): number | null {
  const statuses = operations.map(exitStatusFor)
  const settled = statuses.filter((status) => status !== null)
  return settled.length < statuses.length ? null : combineExitStatus(settled)
}

function countLine(operations: readonly Operation[], { columns, now }: VerdictOptions): string {
  const began = Math.min(...operations.map(({ startedAt }) => startedAt))
  const ended = Math.max(...operations.map(({ completedAt }) => completedAt ?? now))
  const all = operations.length
  const counts = operations.every(({ status }) => status === 'completed')
    ? `${all} of ${all} ok`
    : countWords(operations)
  const text = `${counts} in ${formatDuration(ended - began)}`
  const status = combinedStatus(operations)
  if (status === null) return text
  const width = Math.min(79, Math.max(0, columns - 1))
  return displayWidth(text) + 8 > width ? `${text}   exit ${status}` : spread(text, `exit ${status}`, width)
}

function nextCommand(operation: Operation, nameWidth: number, { columns }: VerdictOptions): string[] {
  const head = `  ${fit(clean(operation.connection.name), nameWidth)}   `
  const { id, error, lastLine } = operation
  const line = error?.deviceLines?.at(-1) ?? lastLine
  switch (verdictWord(operation)) {
    case 'running':
      return [`${head}vosctl attach ${id}`]
    case 'unknown':
      return [`${head}vosctl verify ${id}`]
    case 'failed': {
      const text = `${head}${fit(`vosctl logs ${id}`, 27)}${line === null ? '' : cleanDeviceLine(line)}`
      return [cut(text.trimEnd(), columns > 0 ? columns - 1 : 200)]
    }
    case 'not started':
    case 'cancelled':
    case 'interrupted':
      return []
    default:
      return [head + (error && error.hint !== '' ? clean(error.hint) : `vosctl logs ${id}`)]
  }
}

function startTheRest(operations: readonly Operation[], nameWidth: number): string[] {
  const left = operations.filter((operation) => ['not started', 'interrupted'].includes(verdictWord(operation)))
  const services = new Set(left.map(({ service }) => service))
  if (left.length === 0 || services.size > 1 || left.some(({ type }) => type !== 'service_restart')) return []
  const [service] = services
  const names = left.map(({ connection }) => clean(connection.name)).join(' ')
  return [`  ${fit('rest', nameWidth)}   vosctl restart ${names}${service ? ` -s ${quoted(service)}` : ''}`]
}

/** One line that still makes sense in a mail at night. */
function logLine(operation: Operation, { now }: VerdictOptions): string {
  const { connection, id } = operation
  const name = clean(connection.name)
  const word = verdictWord(operation)
  const status = exitStatusFor(operation)
  if (status === null) return `vosctl: ${name}: ${runningWords(operation, now)}. Follow: vosctl attach ${id}`
  const next = isLook(operation)
    ? clean(operation.error?.hint ?? '')
    : word === 'unknown'
      ? `Look: vosctl verify ${id}`
      : word === 'failed'
        ? `Look: vosctl logs ${id}`
        : clean(operation.error?.hint ?? '')
  const text = `vosctl: ${word}: ${name}: ${sentence(operation)}${untouchedWords(operation)}; exit ${status}.`
  return `${text} ${next}`.trimEnd()
}

/** One line if it fits, if need be without what the title above says already; otherwise the proof on a line of its own. */
function successLines(operation: Operation, head: string, columns: number): string[] {
  if (isLook(operation)) return [head + sentence(operation), ...sessionLines(operation, columns)]
  const { id, service } = operation
  const took = restartedWords(operation)
  const how = howWords(operation)
  const words = usualWords(operation.usual)
  const usual = words === null ? '' : ` (${words})`
  const what = service === null ? took : `${clean(service)} ${took}`
  const forms = [`${head}${what}, ${how}${usual}   ${id}`, `${head}${took}, ${how}${usual && ` ${usual}`}`]
  const fitting = forms.find((form) => columns === 0 || displayWidth(form) < columns)
  return fitting === undefined ? [`${head}${what}${usual}   ${id}`, `  ${how}`] : [fitting]
}

/** Of a test: how well the connection is protected. */
function sessionLines({ type, facts }: Operation, columns: number): string[] {
  if (type !== 'ssh_test' || !facts) return []
  const line = `  over ${algorithmWords(facts.algorithms)}`
  return [columns === 0 ? line : cut(line, columns - 1)]
}

/** `restarted in 0m12s`, `failed: …`: how it ended. */
export function endingWords(operation: Operation): string {
  const word = verdictWord(operation)
  if (word === 'ok') {
    if (isLook(operation)) return sentence(operation)
    const aside = howWords(operation).split('; ').slice(1)
    return [restartedWords(operation), ...aside].join('; ')
  }
  const text = sentence(operation)
  const told = text.startsWith(word) ? text : `${word}: ${text}`
  const took = word === 'failed' ? tookMs(operation) : null
  return `${told}${untouchedWords(operation)}${took === null ? '' : ` after ${formatDuration(took)}`}`
}

/** Without a time when nobody saw the end. */
function restartedWords(operation: Operation): string {
  const took = tookMs(operation)
  return took === null ? 'restarted' : `restarted in ${formatDuration(took)}`
}

/** What the recipe says after `"Cisco Tomcat" restarted, `: how it was proved, and what else is down now. */
function howWords(operation: Operation): string {
  return sentence(operation).replace(/^"[^"]*" restarted, /, '')
}

/** The operation's message as a part of a sentence of ours. */
export function sentence({ message, status, beganAt }: Pick<Operation, 'message' | 'status' | 'beganAt'>): string {
  const text = clean(message).replace(/\.$/, '')
  if (status === 'unknown') return text.replace(/^outcome unknown: /, '')
  return status === 'cancelled' && beganAt === null ? text.replace(/^not started: /, '') : text
}

/** Exit status 4 to 7 is a promise; a person gets it in words, once. */
export function untouchedWords({
  effect,
  message,
  status,
  type,
}: Pick<Operation, 'effect' | 'message' | 'status' | 'type'>): string {
  // A look at what another operation did must not sound as if that one had sent nothing.
  if (effect !== 'none' || status === 'completed' || status === 'unknown' || type === 'verify') return ''
  return /(nothing|anything) was sent|not started/i.test(message) ? '' : '; nothing was sent'
}

/** `starting, 71 %, about 1m20s left` */
export function runningWords(operation: Operation, now: number): string {
  const { percent, remainingMs, lateMs, elapsedMs, known } = standingAt(operation, now)
  const state = stateWord(operation)
  if (operation.beganAt === null) return operation.after === undefined ? state : waitingWords(operation)
  if (lateMs !== null) return `${state}, late ${formatDuration(lateMs)}`
  if (remainingMs !== null && known) return `${state}, ${percent} %, about ${aboutWords(remainingMs)} left`
  return `${state}, ${formatDuration(elapsedMs)} so far`
}

/** The last lines of the device: those that explain the error, otherwise the very last ones with their times. */
function evidenceLines({ error, lastLine, lastDeviceAt }: Operation, { columns, excerpt }: VerdictOptions): string[] {
  const width = columns > 0 ? columns - 1 : 200
  const lines =
    error?.deviceLines && error.deviceLines.length > 0
      ? error.deviceLines.slice(-8).map(cleanDeviceLine)
      : (excerpt ?? []).length > 0
        ? (excerpt ?? []).map(({ at, text }) => `${clock(at)}  ${cleanDeviceLine(text)}`)
        : lastLine === null || lastDeviceAt === null
          ? []
          : [`${clock(lastDeviceAt)}  ${cleanDeviceLine(lastLine)}`]
  return lines.map((line) => cut(`  ${line}`, width))
}

/** A hint with a command in it becomes two lines, so that the command can be copied whole. */
function hintLines(hint: string): string[] {
  return clean(hint)
    .split(/(?<=\S)\.? (?=Then )/)
    .flatMap((part) => {
      const command = /^(.*?:?) (vosctl .+?)\.?$/.exec(part)
      return command ? [`  ${command[1]}`, `    ${command[2]}`] : part === '' ? [] : [`  ${part}`]
    })
}

function section(lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : ['', ...lines]
}

const COLOURS = { '+': 'green', x: 'red', '?': 'yellow', '-': 'yellow' } as const

/** Only the mark is coloured: it repeats what the words say. */
function paint(lines: readonly string[], { colour }: VerdictOptions): string[] {
  return lines.map((line) => {
    const tone = Object.entries(COLOURS).find(([mark]) => line.startsWith(`${mark} `))?.[1]
    return colour && tone ? styleText(tone, line.slice(0, 1), { validateStream: false }) + line.slice(1) : line
  })
}
