import { randomUUID } from 'node:crypto'
import fs from 'node:fs'
import path from 'node:path'
import { PROTOCOL_VERSION } from '../../../src/core/protocol.ts'
import { RawClient, throughNetwork } from '../../faults/fuzz/raw-client.ts'
import type { Rig } from '../../helpers/rig.ts'
import type { Planter } from './planter.ts'

/** Says it at the network door in every place where it belongs, and where people put it by mistake. */
async function present(rig: Rig, port: number, token: string, good: string): Promise<void> {
  const ask = async (target: string, headers: readonly string[], body?: string): Promise<string> => {
    await using client = await RawClient.connect({ to: { port, host: '127.0.0.1' } })
    const lines = headers.some((line) => line.startsWith('Host')) ? headers : [`Host: localhost:${port}`, ...headers]
    const content =
      body === undefined ? [] : ['Content-Type: application/json', `Content-Length: ${Buffer.byteLength(body)}`]
    const method = body === undefined ? 'GET' : 'POST'
    client.send(
      [`${method} ${target} HTTP/1.1`, ...lines, ...content, 'Connection: close', '', body ?? ''].join('\r\n'),
    )
    await client.isThrownOut(10_000)
    rig.hear(`the network, ${target.slice(0, 5)}`, client.heard)
    return client.heard
  }
  const bearer = `Authorization: Bearer ${token}`
  const basic = `Authorization: Basic ${Buffer.from(`vosctl:${token}`).toString('base64')}`
  await ask('/healthz', [bearer])
  await ask('/metrics', [bearer])
  await ask('/api/operations/last', [bearer])
  for (const target of [
    `/healthz?token=${token}`,
    `/${token}`,
    `/socket.io/?EIO=4&transport=websocket&token=${token}`,
  ]) {
    await ask(target, [])
  }
  const wrongHeaders = [
    `X-Token: ${token}`,
    `Host: ${token}`,
    `Origin: ${token}`,
    `Cookie: token=${token}`,
    `Authorization: ${token}`,
    basic,
    `${bearer}, Bearer ${token}`,
    `Transfer-Encoding: ${token}`,
    token,
  ]
  for (const header of wrongHeaders) await ask('/healthz', [header])
  const auth = `Authorization: Bearer ${good}`
  const bodies = [{ token }, { [token]: 1 }, { reason: `with ${token}` }, [token], { requestId: token }].map((each) =>
    JSON.stringify(each),
  )
  for (const body of [...bodies, token, `{"token":"${token}`]) {
    const heard = await ask('/api/connections/talks/restart', [auth, `Idempotency-Key: ${randomUUID()}`], body)
    if (body.includes('reason') !== heard.startsWith('HTTP/1.1 202')) throw new Error(`talks: ${heard.slice(0, 800)}`)
    // To its end: the device is free then.
    const [, id] = /^location: \/api\/operations\/(\S+)/im.exec(heard) ?? []
    if (id !== undefined) await rig.run(['attach', id])
  }
  await ask(`/api/connections/${token}/restart`, [auth, `Idempotency-Key: ${randomUUID()}`], '{}')
  await ask('/api/connections/talks/restart', [auth, `Idempotency-Key: ${token}`], '{}')
  await ask(`/api/operations/${token}`, [auth])
  for (const said of [
    { protocol: PROTOCOL_VERSION, version: token, token },
    { protocol: 1, version: token, token },
    { protocol: PROTOCOL_VERSION, token: [token] },
    { protocol: PROTOCOL_VERSION, version: token, token: `${token} ` },
  ]) {
    await using client = await RawClient.upgrade(throughNetwork(port, token))
    client.say(`40${JSON.stringify(said)}`)
    await client.hears('4', 5000)
    client.say(`420${JSON.stringify(['operation:get', { id: token }])}`)
    await client.hears('43', 500)
    rig.hear('the network, a websocket', client.heard)
  }
}

export const tokens: Planter = {
  name: 'a token that the network door does not know',
  secret: `vosctl_${'wR0ng-'.repeat(8).slice(0, 43)}`,
  settings: () => 'listen: 127.0.0.1:0\n',
  async plant({ rig }) {
    const made = async (name: string): Promise<string> => {
      await rig.prepare(['daemon', 'token', 'create', name])
      const token = fs.readFileSync(path.join(rig.config, 'tokens', name), 'utf8').trim()
      rig.hide('a good token', token)
      // Where it belongs.
      rig.ownFiles.add(`config/tokens/${name}`)
      return token
    }
    const [good, other] = [await made('good'), await made('other')]
    const { stdout } = await rig.prepare(['daemon', 'status', '-o', 'json'])
    const port = Number(/127\.0\.0\.1:(\d+)/.exec(stdout)?.[1])
    await present(rig, port, this.secret, good)
    await present(rig, port, good, good)
    await rig.prepare(['daemon', 'token', 'revoke', 'other'])
    await using client = await RawClient.upgrade(throughNetwork(port, other))
    client.say(`40${JSON.stringify({ protocol: PROTOCOL_VERSION, token: other })}`)
    await client.hears('44', 5000)
    rig.hear('the network, a revoked token', client.heard)
    await rig.run(['daemon', 'token', 'list', '--json'])
  },
}
