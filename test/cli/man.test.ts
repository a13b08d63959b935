import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import type { CommandSpec } from '../../src/cli/command-spec.ts'
import { COMMANDS } from '../../src/cli/commands.ts'
import { GLOBAL_FLAGS } from '../../src/cli/global-flags.ts'
import { TOPICS } from '../../src/cli/help.ts'
import { manPage, text } from '../../src/cli/man.ts'
import { EXIT_TABLE } from '../../src/core/errors.ts'
import { requireTool } from '../helpers/tools.ts'

const groff = requireTool('groff')
const mandoc = requireTool('mandoc')

/** What a reader sees, blanks and line breaks aside; groff draws some hyphens as other dashes where no man.local says no. */
function drawn(roff: string): string {
  const { stdout, stderr } = spawnSync(groff ?? '', ['-man', '-Tutf8', '-ww', '-P-cbou', '-rLL=200n', '-Kutf8'], {
    input: roff,
    encoding: 'utf8',
  })
  expect(stderr).toBe('')
  return plain(stdout.replace(/[\u2010\u2212]/g, '-'))
}

function plain(words: string): string {
  return words.replace(/\s+/g, ' ').trim()
}

function all(specs: readonly CommandSpec[]): CommandSpec[] {
  return specs.flatMap((spec) => [spec, ...all(spec.commands ?? [])])
}

describe('the manual page', () => {
  it.skipIf(groff === null)('shows every command, flag, note, example, exit status and topic, letter by letter', () => {
    const page = drawn(manPage())
    const specs = all(COMMANDS)
    const wanted = [
      ...specs.flatMap(({ name, summary, notes = [], examples = [], commands }) =>
        commands ? [name, summary] : [name, summary, ...notes, ...examples],
      ),
      ...[...GLOBAL_FLAGS, ...specs.flatMap(({ flags = [] }) => flags)].map(({ flag, means }) => `${flag} ${means}`),
      ...EXIT_TABLE.map(({ status, name, means }) => `${status} ${name} ${means}`),
      ...[TOPICS.cron, TOPICS.environment, TOPICS.json, TOPICS.tmux].flatMap((topic) => topic()),
    ]
    expect(wanted.filter((words) => !page.includes(plain(words)))).toEqual([])
  })

  it
    .skipIf(groff === null)
    .each([
      ['.so /etc/passwd'],
      ["'quoted' at the start"],
      ['back\\slash \\fB \\n(.x \\*(xx'],
      ['a `tick`, a ^caret, a ~tilde, "quotes" and a - or --flag'],
      ['SHA256:… and ü'],
    ])('draws %s as it is', (line) => {
    expect(drawn(`.TH X 1\n.SH NAME\n${text(line)}\n`)).toContain(plain(line))
  })

  it.skipIf(mandoc === null)('is what mandoc takes for a manual page, but for a date, which no build has', () => {
    const { stdout } = spawnSync(mandoc ?? '', ['-Tlint', '-W', 'warning'], { input: manPage(), encoding: 'utf8' })
    expect(stdout.split('\n').filter((line) => line !== '' && !line.includes('missing date'))).toEqual([])
  })
})
