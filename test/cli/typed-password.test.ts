import { PassThrough } from 'node:stream'
import { expect, it } from 'vitest'
import type { Client } from '../../src/cli/client.ts'
import type { Context } from '../../src/cli/context.ts'
import { RefusedError } from '../../src/cli/refused-error.ts'
import { withTyped } from '../../src/cli/typed-password.ts'

it('a password that was typed first is lent again after the next one, for the login that was seen, however long that took', async () => {
  const stdin = Object.assign(new PassThrough(), { isTTY: true, setRawMode: () => undefined })
  const stderr = Object.assign(new PassThrough(), { isTTY: true })
  const context = { io: { stdin, stderr, env: {} }, flags: {} } as unknown as Context
  const rest = { port: 22, hops: [], credential: { type: 'prompt' } }
  let connections = [
    { ...rest, id: 1, name: 'bastion', username: 'jump', host: 'bastion' },
    { ...rest, id: 2, name: 'cucm-pub', username: 'admin', host: '10.0.0.1' },
  ]
  const lent: unknown[][] = []
  const request = (name: string, input: { connectionId?: number; login?: string; password?: string }) => {
    if (name === 'connection:list') return connections
    lent.push([input.connectionId, input.login, input.password])
    // Whoever is asked for the next one sees where it leads now; the first one was typed for what was seen then.
    connections = connections.map((one) => ({ ...one, port: 2222 }))
    return null
  }
  const client = { request } as unknown as Client
  stderr.on('data', (question) => stdin.write(String(question).includes('bastion:') ? 'one\r' : 'two\r'))
  let asked = 0
  const answer = await withTyped(context, client, 'the same', () => {
    const connection = connections[asked++]
    if (!connection) return Promise.resolve('started')
    return Promise.reject(new RefusedError({ code: 'needs_answer', message: 'm', hint: '', connection }))
  })
  expect(answer).toBe('started')
  expect(lent).toEqual([
    [1, 'jump@bastion:22', 'one'],
    [1, 'jump@bastion:22', 'one'],
    [2, 'admin@10.0.0.1:2222', 'two'],
  ])
})
