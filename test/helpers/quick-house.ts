import { onTestFinished } from 'vitest'
import type { HostKey } from '../../src/core/connection.ts'
import { startSimulator, type Scenario, type Simulator } from '../../src/simulator/index.ts'
import { RawClient, throughUnix } from '../faults/fuzz/raw-client.ts'
import type { Rig } from './rig.ts'

interface Device {
  readonly port: number
  readonly username?: string
  readonly hostKey: HostKey
}

/** A connection with its key pinned, made without the client: there are many. */
export async function addConnection(
  rig: Rig,
  name: string,
  device: Device,
  input: object = {},
  password?: string,
): Promise<number> {
  await using client = await RawClient.enter(throughUnix(rig.socket))
  const { port, username = 'admin', hostKey } = device
  const ask = async (request: string, value: object) => {
    client.say(`420${JSON.stringify([request, value])}`)
    await client.hears('430[')
    const said = client.heard.slice(client.heard.indexOf('430['))
    rig.hear('the socket', said)
    if (!said.includes('"ok":true')) throw new Error(`${request}: ${said.slice(0, 300)}`)
    client.forget()
    return Number(/"value":\{"id":(\d+)/.exec(said)?.[1])
  }
  const timings = { quietMs: 30, nudgeMs: 300, pollMs: 20, pollLimitMs: 2000, promptMs: 2000, silenceLimitMs: 3000 }
  const id = await ask('connection:add', { name, host: '127.0.0.1', port, username, timings, ...input })
  await ask('connection:trust', { id, device: `127.0.0.1:${port}`, hostKey })
  if (password !== undefined) await ask('credential:set', { id, login: `${username}@127.0.0.1:${port}`, password })
  return id
}

/** A simulated appliance as a connection; the hunt looks for its password. */
export async function startAppliance(rig: Rig, name: string, scenario: Scenario): Promise<Simulator> {
  const simulator = await startSimulator(scenario, { timeScale: 0.002 })
  onTestFinished(() => simulator.stop())
  const { port, username, password, hostKey } = simulator
  rig.hide(`the password of ${name}`, password)
  const { type, fingerprint } = hostKey
  await addConnection(rig, name, { port, username, hostKey: { type, fingerprint } }, {}, password)
  return simulator
}
