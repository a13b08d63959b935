import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { describe, expect, it } from 'vitest'
import { scenarios, type Scenario } from '../../src/simulator/index.ts'
import { Rig, VOSCTL } from '../helpers/rig.ts'
import { until } from '../helpers/wait.ts'

const publisher = scenarios.get('publisher') as Scenario

interface Line {
  readonly type: string
  readonly seq: number | null
  readonly op?: string
  readonly [field: string]: unknown
}

/** The whole lines; of a stream that was killed the last one may be a piece. */
function linesOf(text: string): Line[] {
  return text
    .split('\n')
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Line)
}

/** Lines that are events of the journal have an operation and a number. */
function eventsOf(lines: readonly Line[]): Line[] {
  return lines.filter(({ op, seq }) => op !== undefined && seq !== null)
}

function stream(rig: Rig, args: readonly string[]) {
  const running = rig.start([...args, '-o', 'jsonl'])
  return { ...running, lines: () => linesOf(running.output.stdout) }
}

async function journal(rig: Rig, op: string): Promise<Line[]> {
  return linesOf((await rig.prepare(['logs', op, '-o', 'jsonl'])).stdout)
}

async function restarted(rig: Rig): Promise<string> {
  const { stdout } = await rig.prepare(['restart', 'node', '-o', 'json'])
  return (JSON.parse(stdout) as { id: string }).id
}

it('a stream whose --timeout ends says goodbye and exits 8', { timeout: 60_000 }, async () => {
  const watch = stream(new Rig(), ['watch', '--timeout', '1s'])
  expect((await watch.ended).status).toBe(8)
  expect(watch.lines().at(-1)).toMatchObject({ type: 'bye' })
})

describe('a stream that was cut', { timeout: 60_000 }, () => {
  it('goes on with --from: every event of the journal once and in order', async () => {
    const rig = new Rig()
    await rig.appliance('node', publisher)
    const first = stream(rig, ['watch'])
    await until('the stream has begun', () => first.lines().some(({ type }) => type === 'snapshot'))
    const one = await restarted(rig)
    await until('some events', () => eventsOf(first.lines()).length > 3)
    first.child.kill('SIGKILL')
    await first.ended
    const before = eventsOf(first.lines())
    const two = await restarted(rig)

    const next = stream(rig, ['watch', '--from', String(before.at(-1)?.seq)])
    await until('the stream is live again', () => next.lines().some(({ type }) => type === 'snapshot'))
    const three = await restarted(rig)
    await until('the last verdict', () => next.lines().some(({ op, type }) => op === three && type === 'verdict'))
    next.child.kill('SIGTERM')
    expect((await next.ended).status).toBe(143)
    const after = next.lines()
    expect(after[0]).toMatchObject({ type: 'hello', from: before.at(-1)?.seq })
    expect(after.at(-1)).toMatchObject({ type: 'bye' })
    const all = [...before, ...eventsOf(after)]
    expect(all).toEqual(
      [...(await journal(rig, one)), ...(await journal(rig, two)), ...(await journal(rig, three))].map((line) =>
        expect.objectContaining({ seq: line.seq, type: line.type, op: line.op }),
      ),
    )
    expect(after.filter(({ type }) => type === 'gap')).toEqual([])

    const attached = stream(rig, ['attach', two, '--from', String(before.at(-1)?.seq)])
    expect((await attached.ended).status).toBe(0)
    expect(eventsOf(attached.lines())).toEqual(await journal(rig, two).then((lines) => lines.map(sameEvent)))
    expect(attached.lines().map(({ type }) => type)).toEqual(
      expect.arrayContaining(['hello', 'accepted', 'verdict', 'snapshot', 'result']),
    )
    // The rest of an operation that has gone by.
    const last = eventsOf(after).at(-2)?.seq
    const rest = stream(rig, ['attach', three, '--from', String(last)])
    await rest.ended
    expect(eventsOf(rest.lines())).toEqual([expect.objectContaining({ type: 'verdict' })])
  })

  it('goes on in the middle of a restart, and ends with its verdict', async () => {
    const rig = new Rig()
    await rig.appliance('node', publisher, { timeScale: 0.02 })
    const first = stream(rig, ['restart', 'node'])
    await until('it was sent', () => first.lines().some(({ type }) => type === 'sent'))
    first.child.kill('SIGKILL')
    await first.ended
    const before = eventsOf(first.lines())
    const next = stream(rig, ['attach', 'last', '--from', String(before.at(-1)?.seq)])
    expect((await next.ended).status).toBe(0)
    const lines = next.lines()
    expect(lines.at(-1)).toMatchObject({ type: 'result', exit_code: 0 })
    const all = await journal(rig, 'last')
    expect([...before, ...eventsOf(lines)].map(({ seq }) => seq)).toEqual(
      // The reader of a restart was told of "accepted" by the snapshot.
      all.slice(1).map(({ seq }) => seq),
    )
  })

  it('says what it cannot tell: a number of another journal is a gap, and the snapshot follows', async () => {
    const rig = new Rig()
    await rig.appliance('node', publisher)
    await restarted(rig)
    const watching = stream(rig, ['watch', '--from', '900000'])
    await until('the snapshot', () => watching.lines().length >= 3)
    watching.child.kill('SIGKILL')
    const [, gap, snapshot] = watching.lines()
    expect(gap).toMatchObject({ type: 'gap', after: 900_000 })
    expect(snapshot).toMatchObject({ type: 'snapshot', seq: Number(gap?.['from']) - 1 })
    const attached = stream(rig, ['attach', 'last', '--from', '900000'])
    expect((await attached.ended).status).toBe(0)
    expect(attached.lines().map(({ type }) => type)).toEqual(['hello', 'gap', 'snapshot', 'result'])
  })

  it.each([[['watch']], [['attach', 'last']], [['wait', 'last', '-o', 'name']]])(
    'is no stream without -o jsonl: %j --from exits 2',
    async (args) => {
      const { status, stdout, stderr } = await new Rig().run([...args, '--from', '3'])
      expect({ status, stdout }).toEqual({ status: 2, stdout: '' })
      expect(stderr).toContain('-o jsonl')
    },
  )

  it('ends by itself when nobody reads it, although nothing happens', async () => {
    const rig = new Rig()
    await rig.prepare(['daemon', 'start'])
    const command = `${process.execPath} ${VOSCTL} --state-dir ${rig.state} watch -o jsonl; echo "status $?" >&2`
    const child = spawn('sh', ['-c', `(${command}) | head -1`], { stdio: ['ignore', 'pipe', 'pipe'] })
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => (said += chunk.toString()))
    child.stdout.resume()
    await once(child, 'close')
    expect(said).toBe('status 0\n')
  })
})

/** The lines of `logs` tell an operation as it is now, a stream as it was then. */
function sameEvent({ seq, type, op }: Line): unknown {
  return expect.objectContaining({ seq, type, op })
}
