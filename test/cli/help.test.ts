import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { CommandSpec } from '../../src/cli/command-spec.ts'
import { COMMANDS, TOPIC_NAMES } from '../../src/cli/commands.ts'
import type { Io } from '../../src/cli/follow.ts'
import { foldPage, helpPage, overview, TOPICS } from '../../src/cli/help.ts'
import { Leaving } from '../../src/cli/leaving.ts'
import { enter } from '../../src/cli/enter.ts'
import { EXIT_TABLE } from '../../src/core/errors.ts'
import { temporaryDirectory } from '../helpers/temporary.ts'

async function vosctl(argv: readonly string[], env: NodeJS.ProcessEnv = {}) {
  const [stdout, stderr] = [new PassThrough(), new PassThrough()]
  const io = { stdin: new PassThrough(), stdout, stderr, env } as unknown as Io
  const status = await enter(argv, io, new Leaving(() => undefined))
  return { status, stdout: String(stdout.read() ?? ''), stderr: String(stderr.read() ?? '') }
}

function pages(specs: readonly CommandSpec[], parents: readonly string[] = []): string[][] {
  return specs.flatMap((spec) => {
    const words = [...parents, spec.name]
    return [words, ...pages(spec.commands ?? [], words)]
  })
}

describe('help', () => {
  it('is an overview that a script with an empty variable does not take for success', async () => {
    const { status, stdout, stderr } = await vosctl([], { VOSCTL_STATE_DIR: temporaryDirectory() })
    expect({ status, stderr }).toEqual({ status: 2, stderr: '' })
    expect(stdout).toBe(`Restart services on appliances, once, and see what happens.

  vosctl demo                                see it work on a simulated cluster
  vosctl restart cucm-pub -s "Cisco Tomcat"  restart and follow
  vosctl watch                               live view, for a tmux pane

Act        restart  test  cancel  hold  release
Look       watch  ps  status  attach  wait  logs  history  export  verify  ack
Inventory  connections  credentials  key
Set up     daemon  doctor  completion  demo

Run "vosctl help <command>" for flags, "vosctl help exit-codes" for scripts.

No connections yet.
  See it work first  vosctl demo
  Add one            vosctl connections add cucm-pub
  Bring a list       vosctl connections import hosts.yaml
`)
  })

  it('describes the topics that completion and did-you-mean know', () => {
    expect(Object.keys(TOPICS)).toEqual(TOPIC_NAMES)
  })

  it('names every command in the overview', () => {
    const text = overview().join('\n')
    for (const { name } of COMMANDS) expect(text).toMatch(new RegExp(`\\b${name}\\b`))
  })

  it.each(pages(COMMANDS).map((words) => [words.join(' '), words] as const))(
    'has a page for "%s": one line, then examples, usage, flags, exit statuses',
    (_, words) => {
      const page = helpPage(words) ?? []
      expect(page[0]).toMatch(/^[A-Z].*[.?]$/)
      expect(page).toContainEqual(expect.stringMatching(new RegExp(`^Usage {2}vosctl ${words.join(' ')} `)))
      const examples = page.slice(page.indexOf('Examples'), page.indexOf('', page.indexOf('Examples')))
      for (const line of foldPage(page, 80)) if (!examples.includes(line)) expect(line.length).toBeLessThan(80)
    },
  )

  it.each(
    pages(COMMANDS).flatMap((words) =>
      (helpPage(words) ?? []).flatMap((line) =>
        [...line.matchAll(/vosctl help ([a-z -]+?)(?=,|$)/g)].map(([, other]) => other ?? ''),
      ),
    ),
  )('refers to "%s", which exists', (other) => {
    expect(helpPage(other.split(' '))).not.toBeNull()
  })

  it.each(Object.keys(TOPICS))('has the topic %s', async (topic) => {
    const { status, stdout } = await vosctl(['help', topic])
    expect(status).toBe(0)
    expect(stdout.split('\n').length).toBeGreaterThan(5)
  })

  it('prints every row of the table that the program exits by', () => {
    const text = TOPICS['exit-codes']?.().join('\n')
    for (const { status, name } of EXIT_TABLE) expect(text).toMatch(new RegExp(`^${status} +${name} `, 'm'))
  })

  it.each([
    [['restart', '--help']],
    [['help', 'restart']],
    [['--state-dir', '/s', 'help', 'restart']],
    [['-q', 'restart', 'cucm-pub', '-h']],
    [['restart', '-s', 'Cisco Tomcat', '--help']],
  ])('%j is the page of restart', async (argv) => {
    const { status, stdout } = await vosctl(argv)
    expect(status).toBe(0)
    expect(stdout).toMatch(/^Restart a service and follow it to the end\./)
  })

  it('finds a page of two words and by an alias', async () => {
    expect((await vosctl(['conn', 'trust', '--help'])).stdout).toMatch(/^Read the host key/)
    expect((await vosctl(['help', 'conn'])).stdout).toContain('vosctl connections <command>')
  })

  it('does not take words behind -- for a request for help', async () => {
    const { status } = await vosctl(['restart', '--', '--help'], { VOSCTL_STATE_DIR: '/x', VOSCTL_NO_START: '1' })
    expect(status).toBe(7)
  })

  it.each([
    [['help', 'physician'], 'there is no help for "physician".', 'vosctl help'],
    [['help', 'crno'], 'there is no help for "crno". Did you mean cron?', 'vosctl help cron'],
    [['help', 'restrat'], 'there is no help for "restrat". Did you mean restart?', 'vosctl help restart'],
    [
      ['-q', 'help', 'conn', 'lsit'],
      'there is no help for "conn lsit". Did you mean list?',
      'vosctl help connections list',
    ],
    [['help', 'restart', 'now'], 'there is no help for "restart now".', 'vosctl help restart'],
  ])('%j knows no such page, and names the one that was probably meant', async (argv, message, page) => {
    const { status, stdout, stderr } = await vosctl(argv)
    expect({ status, stdout, stderr }).toEqual({
      status: 2,
      stdout: '',
      stderr: `vosctl: ${message}\n  See: ${page}\n`,
    })
  })
})

describe('errors', () => {
  it('are one sentence and what to do, on stderr', async () => {
    expect(await vosctl(['restat', 'x'])).toEqual({
      status: 2,
      stdout: '',
      stderr: 'vosctl: unknown command "restat". Did you mean restart?\n  See: vosctl help\n',
    })
  })

  it.each([[['restat', '--json']], [['restat', '-o', 'jsonl']]])(
    'of %j are one JSON document on stdout',
    async (argv) => {
      const { status, stdout, stderr } = await vosctl(argv)
      expect({ status, stderr }).toEqual({ status: 2, stderr: '' })
      expect(JSON.parse(stdout)).toMatchObject({ schema: 'vosctl/error/v1', name: 'bad_request', exit_code: 2 })
    },
  )

  it('of a program that forbids to start a daemon say so with 7', async () => {
    const { status, stderr } = await vosctl(['ps', '--no-start', '--state-dir', temporaryDirectory()])
    expect(status).toBe(7)
    expect(stderr).toContain('no daemon is running')
  })
})
