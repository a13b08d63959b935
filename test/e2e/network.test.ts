import { once } from 'node:events'
import fs from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { Rig } from '../helpers/rig.ts'

const TOKEN = /vosctl_[\w-]{43}/

/** A house whose settings say this. */
function houseWith(settings: string): Rig {
  const rig = new Rig()
  fs.mkdirSync(rig.config, { mode: 0o700 })
  fs.writeFileSync(path.join(rig.config, 'config.yaml'), settings)
  return rig
}

/** The TCP ports on which this process listens. */
function portsOf(pid: number): number[] {
  const sockets = fs.readdirSync(`/proc/${pid}/fd`).flatMap((descriptor) => {
    try {
      return /^socket:\[(\d+)\]$/.exec(fs.readlinkSync(`/proc/${pid}/fd/${descriptor}`))?.[1] ?? []
    } catch {
      return []
    }
  })
  return ['tcp', 'tcp6'].flatMap((table) =>
    fs
      .readFileSync(`/proc/${pid}/net/${table}`, 'utf8')
      .split('\n')
      .map((line) => line.trim().split(/\s+/))
      .filter(([, , , state, , , , , , inode = '']) => state === '0A' && sockets.includes(inode))
      .map(([, local = '']) => Number.parseInt(local.split(':')[1] ?? '', 16)),
  )
}

async function addressOf(rig: Rig): Promise<string> {
  const { stdout } = await rig.prepare(['daemon', 'status', '-o', 'json'])
  return (JSON.parse(stdout) as { network: { addresses: string[] } }).network.addresses[0] ?? ''
}

describe.skipIf(!fs.existsSync('/proc/self/net/tcp'))('the network door of the built daemon', () => {
  it('is off by default: nothing listens, and nothing of it is loaded', async () => {
    const rig = new Rig()
    await rig.prepare(['daemon', 'start'])
    expect(portsOf(rig.daemonPid ?? 0)).toEqual([])
    expect((await rig.run(['daemon', 'status'])).stdout).toMatch(/^network +off$/m)
    expect((await rig.run(['doctor'])).stdout).toMatch(/^ok +network +off: only the Unix socket is open$/m)
    const dist = path.resolve(import.meta.dirname, '../../dist/daemon')
    const apart = fs.readdirSync(dist).filter((file) => /^(door|face|tls)-.*\.js$/.test(file))
    expect(apart.length).toBeGreaterThan(0)
    const main = fs.readFileSync(path.join(dist, 'main.js'), 'utf8')
    for (const file of apart) expect(main).not.toMatch(new RegExp(`from "\\./${file}"|^import "\\./${file}"`, 'm'))
  })

  it('listens where the settings say, and a token of the client opens it until it is revoked', async () => {
    const rig = houseWith('listen: 127.0.0.1:0\n')
    await rig.prepare(['daemon', 'start'])
    const address = await addressOf(rig)
    expect(portsOf(rig.daemonPid ?? 0)).toEqual([Number(new URL(address).port)])
    expect(rig.log()).toContain(`${rig.socket}, ${address} (pid `)
    expect((await rig.run(['doctor'])).stdout).toContain(`${address}; 0 tokens: nobody can come in`)
    const made = await rig.prepare(['daemon', 'token', 'create', 'grafana', '--read-only'])
    const file = path.join(rig.config, 'tokens', 'grafana')
    expect(made.stdout).toBe(`the token grafana (read only) is in ${file}\n`)
    expect([fs.statSync(file).mode & 0o777, fs.statSync(path.dirname(file)).mode & 0o777]).toEqual([0o600, 0o700])
    const token = fs.readFileSync(file, 'utf8').trim()
    expect(token).toMatch(TOKEN)
    const status = async () => (await fetch(`${address}/x`, { headers: { Authorization: `Bearer ${token}` } })).status
    expect((await fetch(`${address}/x`)).status).toBe(401)
    expect(await status()).toBe(404)
    expect((await rig.run(['daemon', 'status'])).stdout).toMatch(/^network .*; 1 token$/m)
    const listed = await rig.prepare(['daemon', 'token', 'list', '-o', 'json'])
    expect(JSON.parse(listed.stdout)).toMatchObject({
      schema: 'vosctl/token-list/v1',
      items: [{ name: 'grafana', access: 'read', last_used_at: expect.any(String) }],
    })
    await rig.prepare(['daemon', 'token', 'revoke', 'grafana'])
    expect(await status()).toBe(401)
    await rig.prepare(['daemon', 'stop'])
    // The token is in its file, and nowhere else.
    const holders = fs.readdirSync(rig.directory, { recursive: true, encoding: 'utf8' }).filter((name) => {
      const each = path.join(rig.directory, name)
      return fs.statSync(each).isFile() && fs.readFileSync(each, 'latin1').includes(token.slice(7))
    })
    expect(holders).toEqual(['config/tokens/grafana'])
  })

  it('a token is written to a new file, or none is made', async () => {
    const rig = houseWith('listen: 127.0.0.1:0\n')
    const create = (...words: string[]) => rig.run(['daemon', 'token', 'create', ...words])
    const tokens = path.join(rig.config, 'tokens')
    fs.mkdirSync(tokens, { mode: 0o700 })
    fs.writeFileSync(path.join(tokens, 'there'), 'precious')
    fs.symlinkSync(path.join(rig.directory, 'elsewhere'), path.join(tokens, 'link'))
    for (const name of ['there', 'link']) {
      expect(await create(name)).toMatchObject({ status: 2, stderr: expect.stringContaining('is there already') })
    }
    expect(await create('../escape')).toMatchObject({ status: 2, stderr: expect.stringContaining('must begin') })
    expect(await create('gone', '--file', '/nowhere/at/all')).toMatchObject({ status: 2 })
    fs.chmodSync(tokens, 0o755)
    expect(await create('open')).toMatchObject({ status: 2, stderr: expect.stringContaining('is open to other users') })
    expect(await create('both', '--file', 'x', '--print')).toMatchObject({ status: 2 })
    expect(fs.readFileSync(path.join(tokens, 'there'), 'utf8')).toBe('precious')
    expect(fs.readdirSync(rig.directory).toSorted()).toEqual(['config', 'state'])
    expect(await rig.run(['daemon', 'token', 'list'])).toMatchObject({ status: 0, stdout: '' })
    const shown = await create('shown', '--print')
    expect(shown.stdout.trim()).toMatch(new RegExp(`^${TOKEN.source}$`))
    expect(await create('SHOWN', '--print')).toMatchObject({ status: 2, stdout: '' })
    expect(await create('own', '--file', path.join(rig.directory, 'own'), '-q')).toMatchObject({
      status: 0,
      stdout: '',
    })
    expect(fs.readFileSync(path.join(rig.directory, 'own'), 'utf8').trim()).toMatch(TOKEN)
  })

  it('leaves the Unix door shut where its own place is taken, and says why', async () => {
    const other = net.createServer()
    onTestFinished(() => void other.close())
    other.listen(0, '127.0.0.1')
    await once(other, 'listening')
    const { port } = other.address() as net.AddressInfo
    const rig = houseWith(`listen: ["127.0.0.1:0", "127.0.0.1:${port}"]\n`)
    expect(await rig.run(['daemon', 'start'])).toMatchObject({
      status: 7,
      stderr: expect.stringContaining(`Cannot listen on 127.0.0.1:${port}: the port is in use.`),
    })
    expect(fs.existsSync(rig.socket)).toBe(false)
  })

  it('is not begun with settings that would open it to the network', async () => {
    const rig = houseWith('listen: 0.0.0.0:8443\n')
    expect(await rig.run(['daemon', 'start'])).toMatchObject({
      status: 2,
      stderr: expect.stringContaining('other machines reach'),
    })
    expect(fs.existsSync(rig.socket)).toBe(false)
  })
})
