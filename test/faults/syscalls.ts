import { readFileSync } from 'node:fs'
import path from 'node:path'
import { Arena } from './arena.ts'
import { faultyDaemon } from './build.ts'
import { storiesFor, tell, type Story } from './kills.ts'
import { Random } from './random.ts'
import type { Rig } from './rig.ts'

/** What SQLite and we do to files, and what leaves on sockets. */
const TO_FILES = ['pwrite64', 'fdatasync', 'fsync', 'ftruncate', 'link', 'unlink', 'rename']
const TO_SOCKETS = ['write', 'writev', 'sendto', 'sendmsg']

/** When one of these fails nothing is known about the disk any more: the daemon must end. */
const MUST_END = ['pwrite64', 'fdatasync', 'fsync']

interface Strike {
  readonly story: Story
  readonly syscall: string
  /** Which of its calls, counted from 1 in each thread, as strace counts them. */
  readonly nth: number
  readonly fault: 'signal=SIGKILL' | 'error=EIO' | 'error=ENOSPC'
  readonly name: string
}

/** How often each system call is made when nothing disturbs the story; by the thread that makes most. */
async function countSyscalls(program: string, story: Story): Promise<Map<string, number>> {
  await using arena = new Arena(program)
  const log = path.join(arena.directory, 'strace')
  const watched = [...TO_FILES, ...TO_SOCKETS].join(',')
  const { broken } = await tell(arena, story, { under: ['strace', '-f', '-qq', '-o', log, '-e', `trace=${watched}`] })
  if (broken.length > 0) throw new Error(`${story.name} fails undisturbed under strace:\n${broken.join('\n')}`)
  const byThread = new Map<string, number>()
  for (const [, thread, syscall] of readFileSync(log, 'utf8').matchAll(/^(\d+) +(\w+)\(/gm)) {
    byThread.set(`${syscall} ${thread}`, (byThread.get(`${syscall} ${thread}`) ?? 0) + 1)
  }
  const most = new Map<string, number>()
  for (const [key, count] of byThread) {
    const [syscall = ''] = key.split(' ')
    most.set(syscall, Math.max(most.get(syscall) ?? 0, count))
  }
  return most
}

/** Every way to strike: a kill at every call, and for files both errors too. */
function listStrikes(story: Story, counts: ReadonlyMap<string, number>): Strike[] {
  return [...counts].flatMap(([syscall, count]) =>
    Array.from({ length: count }, (_, index) => index + 1).flatMap((nth) => {
      const faults: Strike['fault'][] = ['signal=SIGKILL']
      // A file that cannot be taken away is no matter of life: what is left behind is found by the next daemon.
      if (TO_FILES.includes(syscall)) faults.push('error=EIO', 'error=ENOSPC')
      const name = `${story.name} ${syscall}#${nth}`
      return faults.map((fault) => ({ story, syscall, nth, fault, name: `${name} ${fault.replace(/.*=/, '')}` }))
    }),
  )
}

/** Some of each kind first, so that no kind is ever left out, then as many more as are asked for. */
export function choose<T>(all: readonly T[], kindOf: (one: T) => string, cases: number, random: Random): T[] {
  const shuffled = random.sample(all, all.length)
  const firsts = [...Map.groupBy(shuffled, kindOf).values()].map(([first]) => first as T)
  const rest = shuffled.filter((one) => !firsts.includes(one))
  return [...firsts, ...rest].slice(0, Math.max(cases, firsts.length))
}

/** SIGKILL, EIO and ENOSPC at the Nth system call on our files and sockets, by strace. */
const run: Rig = async ({ cases, seed, only = /./, say }) => {
  const program = await faultyDaemon()
  const strikes: Strike[] = []
  for (const story of storiesFor(only)) {
    strikes.push(...listStrikes(story, await countSyscalls(program, story)).filter(({ name }) => only.test(name)))
  }
  const kindOf = ({ syscall, fault }: Strike): string => `${syscall} ${fault.replace(/.*=/, '')}`
  const chosen = choose(strikes, kindOf, cases, new Random(seed))
  say(`${strikes.length} ways to strike`)
  const violations: string[] = []
  const struck = new Map<string, number>()
  for (const strike of chosen) {
    const { story, syscall, nth, fault, name } = strike
    await using arena = new Arena(program)
    const inject = `inject=${syscall}:${fault}:when=${nth}`
    const log = path.join(arena.directory, 'strace')
    const under = ['strace', '-f', '-y', '-qq', '-o', log, '-e', `trace=${syscall}`, '-e', inject]
    const injected = (): string[] =>
      readFileSync(log, 'utf8')
        .split('\n')
        .filter((line) => line.includes('(INJECTED)'))
    const isInjected = (): boolean => injected().length > 0
    // Without its sealing key the daemon refuses a login, and nothing is unknown about the database.
    const isOnKey = (): boolean => injected().every((line) => !line.includes(arena.state))
    // SQLite does not heed that one, and the daemon does it once more.
    const isOnDirectory = (): boolean => injected().every((line) => line.includes(`<${arena.state}>`))
    try {
      const { broken, first } = await tell(arena, story, { under }, () =>
        arena.isFirst && MUST_END.includes(syscall) && isInjected() && !isOnKey() && !isOnDirectory()
          ? ['3: the daemon went on after a write had failed']
          : [],
      )
      const { status, signal } = await first.ended
      // A story is not the same twice, so not every strike finds its call.
      const isStruck = signal === 'SIGKILL' || isInjected()
      if (isStruck) struck.set(kindOf(strike), (struck.get(kindOf(strike)) ?? 0) + 1)
      const isRefused = (what: string): boolean => isOnKey() && what.includes('"bad_key_file"')
      violations.push(...broken.filter((what) => !isRefused(what)).map((what) => `${name}: ${what}`))
      if (signal === null && ![0, 7, 70].includes(status ?? -1)) {
        violations.push(`${name}: the daemon ended with ${status}: ${first.words()}`)
      }
    } catch (error) {
      violations.push(`${name}: ${String(error)}`)
    }
  }
  return {
    cases: chosen.length,
    violations,
    facts: { 'ways to strike': strikes.length, ...Object.fromEntries(struck) },
  }
}

export default run
