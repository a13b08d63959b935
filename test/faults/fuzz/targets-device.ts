import type { ServiceState } from '../../../src/core/device.ts'
import { VosError } from '../../../src/core/errors.ts'
import { isServiceName, resolveService } from '../../../src/core/service-name.ts'
import { createSanitiser, MAX_LINE_BYTES, oneLine, sanitise } from '../../../src/core/text.ts'
import { parseServices, parseShown } from '../../../src/daemon/devices/linux/units.ts'
import { toCommandLine } from '../../../src/daemon/devices/vos/command.ts'
import { compareEcho } from '../../../src/daemon/devices/vos/echo.ts'
import { createLineReader, type Line } from '../../../src/daemon/devices/vos/line-reader.ts'
import {
  isForeignShell,
  isPasswordQuestion,
  pagingAnswer,
  questionIn,
  recognisePrompt,
} from '../../../src/daemon/devices/vos/prompt.ts'
import { parseServiceList } from '../../../src/daemon/devices/vos/service-list.ts'
import { KNOWN_REASONS, parseStateLine } from '../../../src/daemon/devices/vos/state-line.ts'
import { transcripts } from './corpus.ts'
import { about, chanceOf, claim, SAFE, split, type Target } from './target.ts'

const TERMINAL_WORDS = [
  '\u001b',
  '\u001b[',
  '\u001b[2J',
  '\u001b[K',
  '\u001b]0;t',
  '\u001bP',
  '\u001b\\',
  '\u0007',
  '\u009b',
  '\u009c',
  '\u009d',
  '\r\n',
  '\r',
  '\n',
  '\b',
  '\u202e',
  '\u200b',
  '\ufeff',
  '\u{e0041}',
  '…',
  '␛',
  '😀',
  'x'.repeat(200),
]
const NAMES = [
  'Cisco Tomcat',
  'Cisco Tomcat Stats Servlet',
  'System SSH',
  'A',
  'SOAP -Log Collection APIs',
  'A.b_c/(d)',
]
const STATES = ['STARTED', 'STOPPED', 'STARTING', 'STOPPING', 'NOT RUNNING', 'x', '']
const LIST_WORDS = [
  'Service Manager is running',
  '>> Return code = 0',
  'Primary Node =true',
  'Getting list of all services',
  'Requesting service status, please wait...',
  'admin:',
  'utils service list',
  'Command successful',
  '__proto__',
  ...NAMES,
  ...STATES.flatMap((state) => [`[${state}]`, `[ ${state} ]`]),
  ...KNOWN_REASONS.flatMap((reason) => [reason, `  ${reason}`]),
  '[',
  ']',
  ' ',
  '  ',
  '\t',
  '…',
  '...',
  '\n',
  '\r\n',
]

const whole = transcripts().map(({ text }) => Buffer.from(text.replaceAll('\n', '\r\n')))
const lines = transcripts()
  .flatMap(({ text }) => text.split('\n'))
  .filter((line) => line !== '')
  .map((line) => Buffer.from(line))

/** The lines that a device's bytes make, the unterminated one as the last. */
function readLines(chunks: readonly Uint8Array[]): { readonly all: Line[]; readonly strays: number } {
  const reader = createLineReader(0)
  const finished = chunks.flatMap((chunk) => reader.feed(chunk, 1))
  return { all: [...finished, reader.pending], strays: reader.strays }
}

function lastLine(input: Uint8Array): string {
  return readLines([input]).all.at(-1)?.plain ?? ''
}

const sanitiser: Target = {
  name: 'sanitiser',
  share: 6,
  seeds: [...whole, ...lines],
  words: TERMINAL_WORDS,
  run(input) {
    const random = chanceOf(input)
    const marked = sanitise(input)
    let kind = ''
    for (const escapes of ['mark', 'drop'] as const) {
      const piecewise = createSanitiser({ escapes })
      const pieces = split(input, random).map((piece) => piecewise.write(piece))
      const joined = pieces.join('') + piecewise.end()
      const dropping = createSanitiser({ escapes })
      const output = escapes === 'mark' ? marked : dropping.write(input) + dropping.end()
      claim(joined === output, `split, it is ${JSON.stringify(joined)}, in one piece ${JSON.stringify(output)}`)
      const rows = output.split('\n')
      claim(
        rows.every((row) => SAFE.test(row.replaceAll('\t', ''))),
        `a control or invisible character in ${JSON.stringify(output)}`,
      )
      claim(
        rows.every((row) => Buffer.byteLength(row) <= MAX_LINE_BYTES),
        'a line is longer than it may be',
      )
      claim(rows.length === countLines(input), `${rows.length} lines out of ${countLines(input)}`)
      kind += `${about(rows.length)} ${rows.some((row) => row.endsWith('…'))} `
    }
    claim(sanitise(marked) === marked, `the second time it is something else: ${JSON.stringify(marked)}`)
    if (input.every((byte) => byte >= 0x20 && byte < 0x7f) && input.length < MAX_LINE_BYTES - 3) {
      claim(marked === Buffer.from(input).toString('latin1'), 'plain text was changed')
    }
    const max = random.below(40)
    const one = oneLine(input, max)
    claim(SAFE.test(one), `not one safe line: ${JSON.stringify(one)}`)
    claim([...one].length <= Math.max(max, 1), `${[...one].length} characters where ${max} are allowed`)
    const marks = ['␛', '\ufffd', '<U+', '…'].map((mark) => marked.includes(mark)).join()
    return `${kind} ${marks}`
  },
}

/** Every line break is kept, in a sequence too, and nothing else makes one: CR LF is one, a lone CR is one. */
function countLines(input: Uint8Array): number {
  let count = 1
  for (const [index, byte] of input.entries()) {
    if (byte === 0x0d || (byte === 0x0a && input[index - 1] !== 0x0d)) count++
  }
  return count
}

const reader: Target = {
  name: 'line reader',
  share: 6,
  seeds: [...whole, ...lines],
  words: [...TERMINAL_WORDS, 'admin:'],
  run(input) {
    const { all, strays } = readLines([input])
    const pieces = readLines(split(input, chanceOf(input)))
    claim(JSON.stringify(pieces.all) === JSON.stringify(all), 'split, the lines are others')
    claim(pieces.strays === strays, 'split, the strays are others')
    const unseen = input.filter((byte) => byte === 0x7f || (byte < 0x20 && ![0x09, 0x0a, 0x0d, 0x1b].includes(byte)))
    claim(strays === unseen.length, `${strays} strays, there are ${unseen.length}`)
    claim(all.length === countLines(input), `${all.length} lines out of ${countLines(input)}`)
    for (const { text, plain } of all) {
      claim(SAFE.test(text.replaceAll('\t', '')) && SAFE.test(plain.replaceAll('\t', '')), 'a line is not safe')
      claim(text === text.trimEnd(), 'blanks at the end of a line')
    }
    return `${about(all.length)} ${about(strays)} ${all.some(({ text, plain }) => text !== plain.trimEnd())}`
  },
}

const PROMPTS = ['admin:', 'admin: ', '12:admin:', 'admin[3]:', 'admin:4:', 'admin 4: ', 'x1 admin:', 'admin-1.2(3):']
const QUESTIONS = [
  'Continue (y/n)?',
  'Enter (yes/no)? ',
  '(yes|no):',
  'password: ',
  'new passphrase:',
  'root@x:~# ',
  '$ ',
  'Which?',
  'Press <enter> for 1 line, <space> for one page, or <q> to quit',
  'options: q=quit, n=next, p=prev, b=begin, e=end (lines 1 - 20 of 300) :',
]

const prompt: Target = {
  name: 'prompt',
  share: 24,
  seeds: [...PROMPTS, ...QUESTIONS].map((text) => Buffer.from(text)).concat(lines),
  words: [...PROMPTS, ...QUESTIONS, ...TERMINAL_WORDS, 'admin', ':', ' ', '\t', '0', '99', ...'[](){}|\\*+?.^$-'],
  run(input) {
    const line = lastLine(input)
    const found = recognisePrompt(line)
    const tail = chanceOf(input).pick(['x', '7', ' 7', ':', 'admin', '\t-', '(y/n)', '[3]', '#'])
    if (found) {
      claim(/admin/.test(line) && /:[ \t]*$/.test(line), `taken for a prompt: ${JSON.stringify(line)}`)
      claim(line.length < 128 || /^admin:[ \t]*$/.test(line), `taken for a prompt: ${JSON.stringify(line)}`)
      claim(!isPasswordQuestion(line), `a question for a password is taken for a prompt: ${JSON.stringify(line)}`)
      claim(found.matches(line), `it does not match itself: ${JSON.stringify(line)}`)
      claim(!found.matches(`${line}${tail}`), `it matches with ${tail} after it: ${JSON.stringify(line)}`)
      claim(!found.matches(`x${line}`), `it matches with x before it: ${JSON.stringify(line)}`)
      claim(!found.matches(`${line}\n`), `it matches a finished line: ${JSON.stringify(line)}`)
    } else {
      claim(!/^admin:[ \t]*$/.test(line), `not taken for a prompt: ${JSON.stringify(line)}`)
    }
    claim(recognisePrompt(`${line}x`) === undefined, `a prompt with x after it: ${JSON.stringify(line)}`)
    claim(!isPasswordQuestion(`${line}x`) && questionIn(`${line}x`) === undefined, 'a question with x after it')
    const key = pagingAnswer(line)
    const kind = questionIn(line)
    claim(key === undefined || (kind === 'plain' && pagingAnswer(`${line}x`) === undefined), `pages at ${line}`)
    return `${found !== undefined} ${found?.matches('admin:')} ${kind} ${key} ${isPasswordQuestion(line)} ${isForeignShell(line)}`
  },
}

const stateLine: Target = {
  name: 'state line',
  share: 24,
  seeds: [...lines, ...NAMES.flatMap((name) => STATES.map((state) => Buffer.from(`${name}[${state}]  `)))],
  words: [...LIST_WORDS, '\u001b[K'],
  run(input) {
    const line = lastLine(input)
    const found = parseStateLine(line)
    const expected = readStateLine(line)
    claim(
      found?.name === expected?.name && found?.state === expected?.state,
      `${JSON.stringify(line)} is taken for ${JSON.stringify(found)} and is ${JSON.stringify(expected)}`,
    )
    if (!found) return `none ${about(line.split('[').length)}`
    claim(line.trim().startsWith(found.name), `${found.name} does not begin the line`)
    claim(found.reason === '' || line.trim().endsWith(found.reason), `${found.reason} does not end the line`)
    return `${STATES.includes(found.state)} ${found.reason !== ''} ${found.refusal} ${isServiceName(found.name)}`
  },
}

/** A state line by its definition, character by character. */
function readStateLine(line: string): { readonly name: string; readonly state: string } | undefined {
  const open = line.indexOf('[')
  const close = line.indexOf(']')
  if (line.length > 512 || open < 0 || close < open) return undefined
  const name = trimBlanks(line.slice(0, open))
  const state = line.slice(open + 1, close).trim()
  const rest = line.slice(close + 1)
  const words = rest.trim()
  const known = KNOWN_REASONS.find((reason) => words.toLowerCase().startsWith(reason.toLowerCase()))
  const mayFollow =
    [...words].every((character) => '.…'.includes(character)) ||
    (known !== undefined && !/^\w/.test(words.slice(known.length))) ||
    rest.startsWith('  ') ||
    rest.startsWith('\t')
  if (!isLetterOrDigit(name[0]) || ![...name].every((one) => isLetterOrDigit(one) || ' ._-/()'.includes(one))) return
  if (!isLetter(state[0]) || ![...state].every((one) => isLetter(one) || ' _-'.includes(one))) return
  if (!mayFollow || words.includes('[') || words.includes(']')) return undefined
  return { name, state: state.toUpperCase() }
}

function trimBlanks(text: string): string {
  let [from, to] = [0, text.length]
  while (' \t'.includes(text[from] ?? '-')) from++
  while (to > from && ' \t'.includes(text[to - 1] ?? '-')) to--
  return text.slice(from, to)
}

function isLetter(character: string | undefined): boolean {
  return character !== undefined && /^[A-Za-z]$/.test(character)
}

function isLetterOrDigit(character: string | undefined): boolean {
  return isLetter(character) || (character !== undefined && /^[0-9]$/.test(character))
}

const TYPED = ['utils service restart Cisco Tomcat', 'utils service list', 'exit', 'utils service restart A  B (c)']

const echo: Target = {
  name: 'echo',
  share: 10,
  seeds: TYPED.flatMap((typed) => [typed, typed.replaceAll(' ', ' \n'), typed.slice(0, 9)]).map((text) =>
    Buffer.from(text),
  ),
  words: [...TYPED, 'Cisco', 'Tomcat', ' ', '\n', ' \n', '  \n', '\r\n', 'a', '\u001b[K'],
  run(input) {
    const echoed = readLines([input])
      .all.map(({ plain }) => plain)
      .join('\n')
    const typed = chanceOf(input.subarray(0, 8)).pick(TYPED)
    const found = compareEcho(typed, echoed)
    const unwrapped = new RegExp(
      `^${[...typed].map((one) => `(?: ?\\n)*${one.replace(/\W/, String.raw`\$&`)}`).join('')}(?: ?\\n)*$`,
    )
    claim((found === 'full') === unwrapped.test(echoed), `${JSON.stringify(echoed)} is ${found} for ${typed}`)
    const shorter = compareEcho(typed, echoed.slice(0, -1))
    claim(shorter !== 'differs' || found === 'differs', 'it differs and with one character more it does not')
    if (found === 'full') claim(compareEcho(typed, `${echoed}x`) === 'differs', 'it is full with x after it')
    return `${found} ${about(echoed.split('\n').length)}`
  },
}

const serviceList: Target = {
  name: 'service list',
  share: 8,
  seeds: whole,
  words: LIST_WORDS,
  run(input) {
    const dropping = createSanitiser({ escapes: 'drop' })
    const text = dropping.write(input) + dropping.end()
    const list = parseServiceList(text)
    const names = new Set<string>()
    for (const service of list.services) {
      claim(service.name !== '' && !names.has(service.name), `"${service.name}" is there twice, or is no name`)
      names.add(service.name)
      claim(isListed(service, text), `${JSON.stringify(service)} is in no line`)
    }
    if (list.complete) {
      claim(/service manager is running/i.test(text) && names.size > 0, 'called complete and is not')
    }
    claim(
      list.unexplained.every((line) => text.includes(line)),
      'an unexplained line that is not there',
    )
    const { returnCode: code, primary } = list
    claim(code === null || new RegExp(`= *-?0*${Math.abs(code)}`).test(text) || !Number.isSafeInteger(code), 'a code')
    claim(primary === null || new RegExp(`= *${primary}`, 'i').test(text), 'primary out of nothing')
    const refusals = new Set(list.services.map(({ refusal }) => refusal)).size
    return `${about(names.size)} ${about(list.unexplained.length)} ${code !== null} ${primary} ${list.complete} ${refusals}`
  },
}

/** Whether some line has this name right before its state, and before the name nothing, a reason or a fixed phrase. */
function isListed({ name, state, reason }: ServiceState, text: string): boolean {
  for (const line of text.split('\n')) {
    for (let at = line.indexOf(name); at >= 0; at = line.indexOf(name, at + 1)) {
      const [, inside = ''] = /^\s*\[([^\]]*)\]/.exec(line.slice(at + name.length)) ?? []
      if (inside.trim().toUpperCase() !== state || !line.includes(reason)) continue
      const before = line.slice(line.lastIndexOf(']', at) + 1, at).trim()
      const isFree = before === '' || KNOWN_REASONS.some((known) => known.toLowerCase() === before.toLowerCase())
      if (isFree || FIXED.test(before)) return true
    }
  }
  return false
}

const FIXED =
  /(?:utils service list|please wait *(?:\.+|…)?|is running|all services|code *= *-?\d+|= *(?:true|false)|successful)$/i

const UNITS = [
  'nginx.service loaded active running A web server',
  '● foo@1.service not-found inactive dead foo',
  'a\\x2db.service masked inactive dead a',
  'x.service loaded failed failed x',
  'nginx.service enabled enabled',
  'getty@.service enabled disabled',
  'old.service alias -',
  'LoadState=loaded\nActiveState=active\nSubState=running\nInvocationID=0123456789abcdef\nNRestarts=2',
  'LoadState=not-found\nActiveState=inactive',
  'LoadState=loaded\nActiveState=failed\nResult=exit-code\nInactiveExitTimestampMonotonic=12',
]

const units: Target = {
  name: 'systemd units',
  share: 8,
  seeds: UNITS.map((text) => Buffer.from(text)),
  words: [
    ...UNITS,
    '.service',
    '@.service',
    ' loaded ',
    ' active ',
    ' inactive ',
    ' activating ',
    'deactivating',
    'constructor',
    '__proto__',
    'toString',
    'LoadState=',
    'ActiveState=',
    'Id=',
    '=',
    '\n',
    ' ',
    '\t',
    '●',
    'masked',
    'alias',
  ],
  run(input) {
    const text = sanitise(input)
    const middle = text.indexOf('\n\n')
    const [loaded, files] = middle < 0 ? [text, text] : [text.slice(0, middle), text.slice(middle)]
    const services = parseServices(loaded, files)
    const seen = new Set<string>()
    for (const { name, state, reason, refusal } of services) {
      claim(typeof state === 'string' && state === state.toUpperCase(), `the state of ${name} is ${String(state)}`)
      claim(!seen.has(name) && name.endsWith('.service') && !/\s/.test(name), `${JSON.stringify(name)} is listed`)
      seen.add(name)
      const own = text.split('\n').filter((line) => line.split(/\s+/).includes(name))
      claim(own.length > 0, `${name} is in no line`)
      claim(refusal !== 'masked' || own.some((line) => line.includes('masked')), `${name} is called masked`)
      const [because = ''] = reason.split(/, | \(/)
      claim(because === 'failed' || own.some((line) => line.includes(because)), `${name} is ${reason}`)
    }
    for (const { name } of parseServices(loaded, '')) {
      const own = loaded.split('\n').map((line) => line.split(/\s+/))
      const isThere = own.some((line) => line.includes(name) && line[line.indexOf(name) + 1] !== 'not-found')
      claim(isThere, `${name} is listed and does not exist`)
    }
    const shown = parseShown('x.service', text)
    if (shown) {
      const { service } = shown
      claim(service.name === 'x.service' && typeof service.state === 'string', `shown as ${JSON.stringify(service)}`)
      claim(shown.text.startsWith('x.service: ') && !shown.text.includes('\n'), `said as ${JSON.stringify(shown.text)}`)
      claim(
        service.identity === '' || text.includes(service.identity?.replace('started-at-', '') ?? 'none'),
        `identity ${service.identity}`,
      )
    }
    const states = new Set(services.map(({ state }) => state)).size
    return `${about(services.length)} ${about(states)} ${shown === null} ${shown?.service.refusal} ${shown?.service.identity !== ''}`
  },
}

const serviceName: Target = {
  name: 'service name',
  share: 8,
  seeds: NAMES.map((name) => Buffer.from(`${name}\n${NAMES.map((each) => `${each}[STARTED]`).join('\n')}`)),
  words: [...LIST_WORDS, 'cisco', 'TOMCAT', '.service', '@1', ';', '|', '`', '$(', "'", '"', '&', '\u00a0', 'İ'],
  run(input) {
    const [wanted = '', ...rest] = sanitise(input).split('\n')
    if (wanted.length > 96) return 'too long'
    const services = [...parseServiceList(rest.join('\n')).services, ...parseServices(rest.join('\n'), '')]
    let kind: string
    try {
      const found = resolveService(wanted, services)
      claim(services.includes(found), `${found.name} is not of the list`)
      claim(simple(found.name).startsWith(simple(wanted)), `${wanted} leads to ${found.name}`)
      const exact = services.find(({ name }) => name === wanted)
      claim(!exact || exact === found, `${wanted} leads to ${found.name}, and it is there itself`)
      const isSame = simple(found.name).replace(/\.service$/, '') === simple(wanted).replace(/\.service$/, '')
      const rest = simple(found.name).slice(simple(wanted).length)
      claim(isSame || ' .@-'.includes(rest[0] ?? 'x'), `${wanted} leads to ${found.name} in the middle of a word`)
      const others = services.filter((one) => one !== found && simple(one.name).startsWith(`${simple(wanted)} `))
      claim(isSame || others.length === 0, `${wanted} leads to ${found.name}, and there is ${others[0]?.name}`)
      kind = isSame ? 'same' : 'prefix'
    } catch (error) {
      if (!(error instanceof VosError)) throw error
      claim(error.code === 'unknown_service' || error.code === 'ambiguous', `refused with ${error.code}`)
      kind = `${error.code} ${error.hint.includes('[')}`
    }
    return `${kind} ${about(services.length)} ${typed(wanted)}`
  },
}

function simple(name: string): string {
  return name.trim().replace(/\s+/g, ' ').toLowerCase()
}

/** Whatever the name, what would be typed is one harmless line, or nothing. */
function typed(service: string): string {
  try {
    const line = toCommandLine({ type: 'restart', service })
    claim(line === `utils service restart ${service}`, `${JSON.stringify(service)} is typed as ${JSON.stringify(line)}`)
    claim(/^[A-Za-z0-9 ._\-/()]+$/.test(line) && !line.endsWith(' '), `typed: ${JSON.stringify(line)}`)
    return 'typed'
  } catch (error) {
    if (!(error instanceof VosError)) throw error
    claim(!isServiceName(service), `${service} is a name and is refused`)
    return 'not typed'
  }
}

export const DEVICE_TARGETS: readonly Target[] = [
  sanitiser,
  reader,
  prompt,
  stateLine,
  echo,
  serviceList,
  units,
  serviceName,
]
