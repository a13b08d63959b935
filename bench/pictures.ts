import fs from 'node:fs'
import path from 'node:path'
import { DEFAULT_TIMINGS } from '../src/core/connection.ts'
import type { Simulator } from '../src/simulator/index.ts'
import { House, scenario, SLOW } from './house.ts'
import { paint } from './painting.ts'
import { Pane } from './pane.ts'

/*
 * `npm run pictures`: the pictures of the README, from a real run in a real terminal. Three minutes, most of them for
 * restarts from which the estimates are learned.
 */
const OUT = path.resolve(import.meta.dirname, '../docs/pictures')
const LONG_MS = 180_000
/** A second of an appliance's life takes so long, in seconds. */
const SCALE = 0.4

function write(name: string, text: string, columns: number, title: string): void {
  const file = path.join(OUT, `${name}.svg`)
  fs.mkdirSync(OUT, { recursive: true })
  fs.writeFileSync(file, paint(text, { columns, title }))
  console.log(`${path.relative(process.cwd(), file)}  ${fs.statSync(file).size} bytes`)
}

/** A pane in which `vosctl` is the built one, on the state directory of the house. */
async function openPane(house: House, columns: number, rows: number): Promise<Pane> {
  const pane = new Pane({ directory: house.directory, columns, rows, env: house.environment })
  pane.line(`vosctl() { ${house.vosctl('"$@"').join(' ')}; }; clear`)
  await pane.until('an empty screen', (screen) => screen.trim() === '$')
  return pane
}

/** From the command on; without the prompt that waits for the next one. */
function sinceCommand(text: string): string {
  const lines = text.slice(text.indexOf('$ vosctl')).trimEnd().split('\n')
  return (lines.at(-1)?.trim() === '$' ? lines.slice(0, -1) : lines).join('\n')
}

async function demo(house: House): Promise<void> {
  using pane = await openPane(house, 100, 80)
  pane.line('vosctl demo')
  await pane.shows('vosctl demo --fail ', LONG_MS)
  await pane.until('the prompt', (screen) => screen.trimEnd().endsWith('\n$'))
  write(
    'demo',
    sinceCommand(pane.painted()),
    100,
    'vosctl demo: one restart, the same asked for twice, the rest side by side',
  )
}

const timings = { pollMs: DEFAULT_TIMINGS.pollMs * SCALE, reconnectMs: 10_000 }
const HOSTS = {
  'cuc-1': 'never-began',
  'imp-2': 'ends-stopped',
  'cucm-sub2': 'publisher',
  'cucm-pub': 'publisher',
  'cucm-sub1': 'publisher',
  'uccx-1': 'publisher',
  'finesse-1': 'publisher',
  'cucm-sub3': 'publisher',
  'cucm-sub4': 'publisher',
}

async function refusalAndWatch(house: House): Promise<void> {
  await house.open()
  let slow: Simulator | undefined
  for (const [name, manners] of Object.entries(HOSTS)) {
    const simulator = await house.add(name, scenario(manners), { timeScale: SCALE }, { timings })
    if (name === 'cucm-sub2') slow = simulator
  }
  const must = async (expected: number, ...words: readonly string[]) => {
    const status = await house.run(...words)
    if (status !== expected) throw new Error(`vosctl ${words.join(' ')}: ${status}, not ${expected}`)
  }
  // Three runs make an estimate.
  const regulars = ['cucm-sub2', 'cucm-pub', 'cucm-sub1', 'uccx-1']
  for (let run = 0; run < 3; run++) await must(0, 'restart', ...regulars, '--parallel', '4', '--yes', '-q')

  using watch = await openPane(house, 80, 24)
  using shell = await openPane(house, 80, 24)
  watch.line('vosctl watch')
  await watch.shows('   live')
  // The cursor follows the operation on which it stood, away from what comes first.
  const shows = async (what: string, ...patterns: readonly RegExp[]) => {
    const holds = (screen: string) => {
      watch.press('Home')
      return patterns.every((pattern) => pattern.test(screen))
    }
    await watch.until(what, holds, LONG_MS)
  }
  slow?.setScenario(SLOW)
  for (const name of ['cuc-1', 'imp-2', 'cucm-sub2', 'uccx-1']) await must(0, 'restart', name, '-d')
  await shows('a late row', / late \d/)
  for (const name of ['cucm-pub', 'cucm-sub1']) await must(0, 'restart', name, '-d')
  await must(0, 'restart', 'finesse-1', 'cucm-sub3', 'cucm-sub4', '--yes', '-d')
  await shows('a restart half way', /^ {3}cucm-pub .* [5-8]\d%/m)

  shell.line('vosctl restart cucm-pub')
  await shell.shows('See everything')
  await shell.until('the prompt', (screen) => screen.trimEnd().endsWith('\n$'))
  write('refusal', sinceCommand(shell.painted()), 80, 'The second restart of the same connection is refused')

  const kinds = [/^>\? cuc-1/m, /^ x imp-2/m, /^ ! .* late \d/m, /^ {3}.* \d+%/m, /^ \. /m, /^ \+ /m]
  await shows('a row of each kind', ...kinds)
  write('watch', watch.painted(), 80, 'vosctl watch: what needs a person first, then what runs, waits and is done')
}

await using house = new House()
await demo(house)
await refusalAndWatch(house)
