import net from 'node:net'
import { expect, test } from 'vitest'
import * as hostility from '../../src/simulator/scenarios/hostile.ts'
import { connect, openShell, simulate } from './session.ts'

test('Mischief holds clipboard, title, cursor, bidi, invisible, C1 and hyperlink sequences', () => {
  for (const part of ['\x1b]52;', '\x1b]0;', '\x1b[2A', '\u202E', '\u200B', '\u009B', '\x1b]8;;']) {
    expect(hostility.mischief).toContain(part)
  }
})

test('It really comes in the ident, the SSH banner, the questions, the CLI, the prompt, the list and an error', async () => {
  const { hostile, mischief, windowTitle, clipboard, cursorUpAndErase, rightToLeft } = hostility
  const simulator = await simulate(hostile)
  const questions: string[] = []
  const { banners, client } = await connect(
    simulator,
    { tryKeyboard: true, authHandler: ['keyboard-interactive'] },
    (opening) => {
      opening.on('keyboard-interactive', (name, instructions, _language, prompts, finish) => {
        questions.push(name, instructions, ...prompts.map(({ prompt }) => prompt))
        finish([simulator.password])
      })
    },
  )
  client.end()
  expect(banners).toEqual([`Authorised use only ${mischief}\nadmin:\nPassword: \r\n`])
  expect(questions).toEqual([`Title ${mischief}`, `Instruction ${mischief}`, `Password${windowTitle}: `])
  expect(await identOf(simulator.port)).toContain(`${clipboard}${windowTitle}`)

  const session = await openShell(simulator)
  const prompt = `${rightToLeft}${cursorUpAndErase}\r\n${windowTitle}admin:${clipboard}`
  expect(await session.until(prompt)).toMatch(/^[^]*ERROR\[STARTED\]/)
  const list = await session.exchange('utils service list\n', prompt)
  expect(list).toContain(`${mischief}Cluster Manager [STOPPED]${mischief}`)
  expect(list).toContain('Cisco Tomcat; utils system restart[STARTED]')
  expect(await session.exchange('utils service restart Nonsense\n', prompt)).toContain(`Unknown ${mischief}`)
})

test('It comes in the SSH disconnect message too', async () => {
  const session = await openShell(await simulate(hostility.hostile))
  await session.until(`admin:${hostility.clipboard}`)
  session.send('exit\n')
  await session.lost
  expect(session.errors[0]?.message).toContain(`Goodbye ${hostility.mischief}`)
  expect(session.errors[0]?.code).toBe(12)
})

test('A list can begin with a megabyte without a line end', async () => {
  const session = await openShell(await simulate(hostility.flooding))
  await session.until('admin:')
  const received = await session.exchange('utils service list\n', '=true\r\nadmin:')
  expect(received).toContain('.'.repeat(2 ** 20))
})

function identOf(port: number): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1').once('data', (chunk) => {
      socket.destroy()
      resolve(chunk.toString())
    })
  })
}
