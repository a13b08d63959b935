import type { Timings } from '../../../src/core/connection.ts'
import { fault, vary, type Mishap, type Phase } from '../../../src/simulator/index.ts'
import { brokenAt } from '../../../src/simulator/scenarios/losses.ts'
import { mishaps, phases, type Aftermath } from '../../../src/simulator/scenario.ts'
import { faultyDaemon } from '../build.ts'
import { Random } from '../random.ts'
import type { Rig } from '../rig.ts'
import { restartAll, type Guest, type Outcome } from './restart-all.ts'

const SECOND = 1000
/** Every limit but the one that must end a silence: whoever waits for it has missed the right one. */
const FAR_MS = 40 * SECOND
const NEAR_MS = 700
const LIMIT_MS = 120 * SECOND
/** For an ending that nothing needs to be waited for, on a busy machine. */
const AT_ONCE_MS = 15 * SECOND

/** The limit that a silence runs into, and the codes that tell so. */
const ENDS_SILENCE: Record<
  Exclude<Phase, 'exit'>,
  { readonly timing: keyof Timings; readonly codes: readonly string[] }
> = {
  tcp: { timing: 'identMs', codes: ['ident_timeout'] },
  kex: { timing: 'keyExchangeMs', codes: ['key_exchange_timeout'] },
  auth: { timing: 'loginMs', codes: ['login_timeout'] },
  channel: { timing: 'shellMs', codes: ['shell_timeout'] },
  shell: { timing: 'shellMs', codes: ['shell_timeout'] },
  banner: { timing: 'promptMs', codes: ['prompt_timeout'] },
  prompt: { timing: 'promptMs', codes: ['prompt_timeout'] },
  // Part of the echo has come: what is there is not what was typed.
  echo: { timing: 'echoMs', codes: ['echo_timeout', 'echo_mismatch'] },
  enter: { timing: 'silenceLimitMs', codes: ['silence'] },
  warning: { timing: 'silenceLimitMs', codes: ['silence'] },
  stopping: { timing: 'silenceLimitMs', codes: ['silence'] },
  starting: { timing: 'silenceLimitMs', codes: ['silence'] },
  started: { timing: 'silenceLimitMs', codes: ['silence'] },
}

const FAR: Partial<Timings> = {
  connectMs: FAR_MS,
  identMs: FAR_MS,
  keyExchangeMs: FAR_MS,
  loginMs: FAR_MS,
  shellMs: FAR_MS,
  promptMs: FAR_MS,
  nudgeMs: FAR_MS,
  echoMs: FAR_MS,
  commandMs: FAR_MS,
  silenceWarningMs: NEAR_MS / 2,
  silenceLimitMs: FAR_MS,
  deadlineMs: 2 * FAR_MS,
}

const BEFORE_ENTER: readonly Phase[] = ['tcp', 'kex', 'auth', 'channel', 'shell', 'banner', 'prompt', 'echo']
const MOVING: readonly Phase[] = ['stopping', 'starting', 'started']
const AFTERMATHS: readonly Aftermath[] = ['goes-on', 'stays-stopped', 'never-began']

interface Case extends Guest {
  /** `status code`, any of them. */
  readonly endings: readonly string[]
  readonly withinMs: number
}

/** A device that stops talking, closes or breaks the link, at every phase of a session, in every way. */
const run: Rig = async ({ cases, seed, only, say }) => {
  const program = await faultyDaemon()
  // The whole matrix is always told; what takes a minute of keepalive only in a full run.
  const matrix = [...everyBreakage(), ...(cases === Infinity ? keptAlive() : [])]
  const chosen = new Random(seed).sample(only ? matrix.filter(({ name }) => only.test(name)) : matrix, Infinity)
  const endings = new Map<string, number>()
  const judge = (guest: Guest, outcome: Outcome): string[] => {
    const ending = endingOf(outcome)
    endings.set(ending, (endings.get(ending) ?? 0) + 1)
    return judgeOne(guest as Case, outcome)
  }
  const violations = await restartAll(program, chosen, { parallel: chosen.length, limitMs: LIMIT_MS, judge })
  say(`${chosen.length} breakages`)
  const told = [...endings].toSorted(([, a], [, b]) => b - a).map(([ending, times]) => `${ending} ${times}`)
  return { cases: chosen.length, violations, facts: { endings: told.join(', ') } }
}

export default run

function everyBreakage(): Case[] {
  return phases.flatMap((phase) =>
    mishaps
      .filter((mishap) => canHappen(phase, mishap))
      .flatMap((mishap) => {
        const isAfterEnter = !BEFORE_ENTER.includes(phase) && phase !== 'exit'
        const both = isAfterEnter ? AFTERMATHS : (['goes-on'] as const)
        const cases = both.map((aftermath): Case => {
          const scenario = brokenAt(phase, mishap, aftermath)
          const name = `${mishap} at ${phase}${isAfterEnter ? `, the restart ${aftermath}` : ''}`
          return { name, scenario, ...timingsFor(phase, mishap), endings: endingsOf(phase, mishap, aftermath) }
        })
        if (phase !== 'enter') return cases
        const scenario = brokenAt(phase, mishap)
        const lost = vary(scenario, scenario, { faults: [fault('enter', mishap, { delivered: false })] })
        const name = `${mishap} at enter, which never arrives`
        return [
          ...cases,
          { name, scenario: lost, ...timingsFor(phase, mishap), endings: endingsOf(phase, mishap, 'never-began') },
        ]
      }),
  )
}

/** A link that died silently is found out by the keepalive long before the limits of an ordinary appliance. */
function keptAlive(): Case[] {
  const of = (phase: Phase, endings: readonly string[]): Case => ({
    name: `half-open at ${phase}, found out by keepalive`,
    scenario: brokenAt(phase, 'half-open'),
    timings: {
      ...FAR,
      promptMs: 3 * FAR_MS,
      silenceLimitMs: 3 * FAR_MS,
      commandMs: 3 * FAR_MS,
      deadlineMs: 4 * FAR_MS,
    },
    endings,
    // Three signs of life, 15 s each, after the one that was under way.
    withinMs: 60 * SECOND + AT_ONCE_MS,
  })
  return [of('prompt', ['failed connection_lost']), of('stopping', ['completed']), of('started', ['completed'])]
}

function timingsFor(phase: Phase, mishap: Mishap): Pick<Case, 'timings' | 'withinMs'> {
  const near = phase !== 'exit' && isSilent(mishap) ? { [ENDS_SILENCE[phase].timing]: NEAR_MS } : {}
  return { timings: { ...FAR, ...near }, withinMs: AT_ONCE_MS }
}

/** What may be said, by the tables of phases and of evidence. */
function endingsOf(phase: Phase, mishap: Mishap, aftermath: Aftermath): readonly string[] {
  if (phase === 'exit') return ['completed']
  if (BEFORE_ENTER.includes(phase)) {
    if (isSilent(mishap)) return ENDS_SILENCE[phase].codes.map((code) => `failed ${code}`)
    // The reset may come before the connection is known to be there.
    if (mishap === 'reset' && (phase === 'tcp' || phase === 'kex'))
      return ['failed connection_lost', 'failed unreachable']
    // The device may have counted the attempt.
    if (phase === 'auth') return ['failed login_refused']
    const isRefused = mishap === 'close-shell' && (phase === 'channel' || phase === 'shell')
    return [isRefused ? 'failed channel_refused' : 'failed connection_lost']
  }
  if (isSilent(mishap)) return ['unknown silence']
  if (MOVING.includes(phase)) return [aftermath === 'stays-stopped' ? 'failed service_down' : 'completed']
  // Nothing was seen before the link was lost: it depends on what the look finds.
  if (aftermath === 'never-began') return ['unknown not_confirmed']
  return aftermath === 'stays-stopped' ? ['failed service_down'] : ['completed', 'unknown not_confirmed']
}

function judgeOne({ endings, withinMs }: Case, outcome: Outcome): string[] {
  const { tookMs, simulator, operation } = outcome
  const ending = endingOf(outcome)
  const broken: string[] = []
  if (simulator.ledger.of('fault').length === 0) broken.push('the fault never struck: the rig is broken')
  if (!endings.includes(ending)) broken.push(`5: it must end ${endings.join(' or ')}`)
  if (tookMs > withinMs) broken.push(`5: it ended after ${Math.round(tookMs)} ms, ${withinMs} ms are enough`)
  if (operation.effect === 'none' && simulator.ledger.restarts().length > 0)
    broken.push('5: it says that nothing was sent')
  return broken
}

function endingOf({ operation: { status, error } }: Outcome): string {
  return error ? `${status} ${error.code}` : status
}

function isSilent(mishap: Mishap): boolean {
  return mishap === 'silence' || mishap === 'half-open'
}

function canHappen(phase: Phase, mishap: Mishap): boolean {
  const isBeforeSsh = phase === 'tcp' || phase === 'kex'
  if (mishap === 'disconnect') return !isBeforeSsh
  return mishap !== 'close-shell' || !(isBeforeSsh || phase === 'auth')
}
