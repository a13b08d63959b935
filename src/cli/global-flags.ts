import type { FlagSpec } from './command-spec.ts'
import { choice, duration, OUTPUT_FORMATS, progressFlag } from './flags.ts'

/** They are understood before and after the command. */
export const GLOBAL_FLAGS: readonly FlagSpec[] = [
  {
    flag: '-o, --output <text|json|jsonl|name>',
    means: 'json: one document at the end; jsonl: a line an event; name: ids only',
    parse: choice('--output', OUTPUT_FORMATS),
  },
  { flag: '--json', means: 'the same as -o json' },
  { flag: '--progress <auto|live|plain|none>', means: 'how progress is drawn on stderr', parse: progressFlag },
  { flag: '-q, --quiet', means: 'nothing at all on success; on anything else all a person needs' },
  { flag: '-v, --verbose', means: 'device lines in plain output' },
  { flag: '--color', means: 'colour, whatever the terminal' },
  { flag: '--no-color', means: 'no colour' },
  { flag: '-y, --yes', means: 'answer yes' },
  { flag: '--no-input', means: 'never ask: a question then exits 2' },
  {
    flag: '--timeout <duration>',
    means: 'patience of this client: exit 8, the operation goes on; 0: for ever',
    parse: duration('--timeout', { zero: true }),
  },
  { flag: '--state-dir <dir>', means: 'where the daemon keeps its state' },
  { flag: '--no-start', means: 'do not start a daemon: exit 7 instead' },
]
