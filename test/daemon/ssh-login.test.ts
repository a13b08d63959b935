import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import ssh2, {
  type AuthContext,
  type Connection,
  type KeyboardAuthContext,
  type PasswordAuthContext,
  type Prompt,
} from 'ssh2'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { SshSession, type Secret } from '../../src/daemon/ssh/session.ts'
import { judgeRound } from '../../src/daemon/ssh/prompts.ts'
import { watchLeaks } from '../helpers/leaks.ts'
import { rejection } from '../helpers/rejection.ts'
import { playServer, QUICK, toTarget, type Play, type PlayedServer } from '../helpers/ssh-server.ts'
import { until } from '../helpers/wait.ts'
import { SSHD, startSshd, type TestSshd } from '../helpers/sshd.ts'

const SECRET = 'correct horse battery staple'
const password: Secret = { type: 'password', password: SECRET }
const signal = new AbortController().signal

let server: PlayedServer | null = null
let noLeaks = async (): Promise<void> => {}

beforeEach(() => {
  noLeaks = watchLeaks()
})

afterEach(async () => {
  await server?.isEmpty()
  await server?.close()
  server = null
  await noLeaks()
})

/** A session with a server that was asked for its methods, and a way to try one login. */
async function meet(play: Play, changes: Partial<typeof QUICK> = {}) {
  const played = await playServer(play)
  server = played
  const session = await SshSession.connect(toTarget(played, { timings: { ...QUICK, ...changes } }), signal)
  const login = (secret: Secret = password): Promise<void> =>
    session.authenticate(secret, session.methodFor(secret.type))
  return { played, session, login }
}

/** A server that asks these rounds of questions, whatever is answered. */
function asking(
  rounds: readonly (readonly Prompt[])[],
  answers: string[][] = [],
  texts: readonly [string, string] = ['', ''],
): Play {
  return {
    methods: ['keyboard-interactive'],
    onAuthentication: (context) => {
      const ask = (round: number): void => {
        const prompts = rounds[round]
        if (!prompts) {
          context.accept()
          return
        }
        ;(context as KeyboardAuthContext).prompt([...prompts], ...texts, (given) => {
          answers.push(given)
          ask(round + 1)
        })
      }
      ask(0)
    },
  }
}

const hidden = (prompt: string): Prompt => ({ prompt, echo: false })

describe('a login with a password', () => {
  it('makes one request, and the session is open', async () => {
    const seen: string[] = []
    const { played, session, login } = await meet({
      onAuthentication: (context) => {
        seen.push((context as PasswordAuthContext).password)
        context.accept()
      },
    })
    await login()
    expect(seen).toEqual([SECRET])
    expect(played.requests).toEqual(['none', 'password'])
    await session.close()
  })

  it('that is refused is one request, and the session is over', async () => {
    const { played, session, login } = await meet({
      onAuthentication: (context) => context.reject(['password', 'keyboard-interactive']),
    })
    const error = await rejection(login())
    expect(error.code).toBe('login_refused')
    expect(error.message).toMatch(/^lab \(127\.0\.0\.1:\d+\) refused the login of admin\.$/)
    expect(played.requests).toEqual(['none', 'password'])
    expect((await session.closed).code).toBe('login_refused')
    await expect(session.authenticate(password, 'password')).rejects.toThrow('exactly one attempt')
    expect(played.requests).toEqual(['none', 'password'])
  })

  it('does not use another method although the server offers more after a refusal', async () => {
    const { played, login } = await meet({
      methods: ['password', 'keyboard-interactive', 'publickey'],
      onAuthentication: (context) => context.reject(['password', 'publickey']),
    })
    expect((await rejection(login())).code).toBe('login_refused')
    expect(played.requests).toEqual(['none', 'keyboard-interactive'])
  })

  it('that is not answered times out', async () => {
    const { login } = await meet({ onAuthentication: () => {} }, { loginMs: 100 })
    expect((await rejection(login())).code).toBe('login_timeout')
  })

  it('counts as refused when the server closes the connection on it', async () => {
    const { login } = await meet({ onAuthentication: (_, client) => void client.end() })
    const error = await rejection(login())
    expect(error.code).toBe('login_refused')
    expect(error.message).toContain('ended the connection during the login')
  })

  it('counts as made when the answer is garbled on its way: it was once taken for one that never left, and repeated', async () => {
    const { played, login } = await meet({
      onAuthentication: (_, client) => {
        const { _sock: socket } = client as unknown as { readonly _sock: Socket }
        socket.write(Buffer.alloc(64, 0xff))
      },
    })
    const error = await rejection(login())
    expect(error.code).toBe('login_refused')
    expect(error.message).toContain('was lost during the login')
    expect(error.hint).toContain('may have counted')
    expect(played.requests).toEqual(['none', 'password'])
  })

  it('that needs a second factor stops after the first', async () => {
    const { played, login } = await meet({
      onAuthentication: (context) => context.reject(['keyboard-interactive'], true),
    })
    const error = await rejection(login())
    expect(error.code).toBe('login_method')
    expect(error.message).toContain('wants another one too (keyboard-interactive)')
    expect(played.requests).toEqual(['none', 'password'])
  })

  it('with an expired password answers nothing', async () => {
    const answers: string[] = []
    const { played, login } = await meet({
      onAuthentication: (context) => {
        ;(context as PasswordAuthContext).requestChange(
          'Your password has expired. New password:',
          (next) => void answers.push(next),
        )
      },
    })
    expect((await rejection(login())).code).toBe('password_expired')
    expect(answers).toEqual([])
    expect(played.requests).toEqual(['none', 'password'])
  })

  it('keeps the password out of the error when the server sends it back', async () => {
    const { login } = await meet({
      onAuthentication: (context, client) => {
        disconnect(client, `\u001b[31mno: ${(context as PasswordAuthContext).password}\u0007`)
      },
    })
    const error = await rejection(login())
    expect(error.code).toBe('login_refused')
    expect(error.message).toContain('no: [password]')
    expect(JSON.stringify([error.message, error.hint, error.stack, error.cause])).not.toContain(SECRET)
    expect(error.message).not.toMatch(/[\u0000-\u001f]/)
  })

  it('sends nothing when the server lets everybody in', async () => {
    const played = await playServer({
      onClient: (client) =>
        void client
          .removeAllListeners('authentication')
          .on('authentication', (context: AuthContext) => context.accept()),
    })
    server = played
    const session = await SshSession.connect(toTarget(played), signal)
    expect(session.methodFor('password')).toBe('none')
    await session.authenticate(password, 'none')
    await session.close()
  })

  it('fails with the reason of an abort while it is awaited', async () => {
    const controller = new AbortController()
    const played = await playServer({ onAuthentication: () => controller.abort('enough') })
    server = played
    const session = await SshSession.connect(toTarget(played), controller.signal)
    await expect(session.authenticate(password, 'password')).rejects.toBe('enough')
  })
})

describe('a login that asks questions', () => {
  it.each(['Password: ', 'password:', "admin@cucm-pub's password: "])(
    'answers one hidden question: %s',
    async (prompt) => {
      const answers: string[][] = []
      const { played, session, login } = await meet(asking([[hidden(prompt)]], answers))
      await login()
      expect(answers).toEqual([[SECRET]])
      expect(played.requests).toEqual(['none', 'keyboard-interactive'])
      await session.close()
    },
  )

  const UNANSWERED: [string, readonly Prompt[], 'login_method' | 'password_expired'][] = [
    ['a visible question', [{ prompt: 'Password: ', echo: true }], 'login_method'],
    ['two questions at once', [hidden('Password: '), hidden('Token: ')], 'login_method'],
    ['a question for a token', [hidden('Enter PASSCODE: ')], 'login_method'],
    ['a question without words', [hidden('')], 'login_method'],
    ['a question for a name', [{ prompt: 'login: ', echo: true }], 'login_method'],
    ['a new password', [hidden('New password: ')], 'password_expired'],
    ['the current password, to change it', [hidden('(current) UNIX password: ')], 'password_expired'],
    ['the password again', [hidden('Retype password: ')], 'password_expired'],
  ]
  it.each(UNANSWERED)('does not answer %s', async (_, prompts, code) => {
    const answers: string[][] = []
    const { login } = await meet(asking([prompts], answers))
    expect((await rejection(login())).code).toBe(code)
    expect(answers).toEqual([])
  })

  it('does not answer when the instruction says that the password has expired', async () => {
    const answers: string[][] = []
    const { login } = await meet(
      asking([[hidden('Password: ')]], answers, ['', 'Your password has expired; you must change your password now.']),
    )
    expect((await rejection(login())).code).toBe('password_expired')
    expect(answers).toEqual([])
  })

  it('answers beside a notice that only warns', async () => {
    const { played, session, login } = await meet(
      asking([[hidden('Password: ')]], [], ['Welcome', 'Warning: your password will expire in 5 days']),
    )
    await login()
    await session.close()
    expect(played.requests).toEqual(['none', 'keyboard-interactive'])
  })

  it.each([
    ['the same question again, which says that the password was wrong', hidden('Password: '), 'login_refused'],
    ['a change of the password', hidden('New password: '), 'password_expired'],
    ['a second factor', hidden('Verification code: '), 'login_method'],
  ] as const)('does not answer a second round: %s', async (_, second, code) => {
    const answers: string[][] = []
    const { login } = await meet(asking([[hidden('Password: ')], [second]], answers))
    expect((await rejection(login())).code).toBe(code)
    expect(answers).toEqual([[SECRET]])
  })

  it('shows the question as harmless text', async () => {
    const { login } = await meet(asking([[hidden('\u001b]0;x\u0007One-time\r\ncode\u202e: ')]]))
    const error = await rejection(login())
    expect(error.message).toContain('One-time / code<U+202E>:')
  })

  it('judges rounds of no question at all as unknown, too', () => {
    expect(judgeRound(1, [], [])).toBe('unknown')
  })
})

describe.skipIf(SSHD === null)('a login with a key, at a real sshd', () => {
  let sshd: TestSshd
  beforeAll(async () => {
    sshd = await startSshd()
  })
  afterAll(() => sshd.stop())

  const target = () => toTarget(sshd, { username: sshd.username })

  it('works with the pinned key that ssh-keygen prints, and wipes the key', async () => {
    const session = await SshSession.connect(target(), signal)
    expect(session.software).toMatch(/^SSH-2\.0-OpenSSH_/)
    expect(session.offeredMethods).toEqual(['publickey'])
    const privateKey = readFileSync(sshd.keyPath)
    await session.authenticate({ type: 'key', privateKey }, session.methodFor('key'))
    expect(privateKey.every((byte) => byte === 0)).toBe(true)
    await session.close()
  })

  it('is refused once with a key that it does not know', async () => {
    const session = await SshSession.connect(target(), signal)
    const key: Secret = { type: 'key', privateKey: readFileSync(sshd.strangerPath) }
    expect((await rejection(session.authenticate(key, 'publickey'))).code).toBe('login_refused')
    await until('sshd has logged it', () => sshd.log().includes('Failed publickey'))
    expect(sshd.log().match(/Failed publickey/g)).toHaveLength(1)
  })

  it('is refused once with an RSA key, which has several kinds of signature', async () => {
    const failures = () => (sshd.log().match(/Failed publickey/g) ?? []).length
    const before = failures()
    const session = await SshSession.connect(target(), signal)
    const { private: rsa } = ssh2.utils.generateKeyPairSync('rsa', { bits: 2048 })
    const key: Secret = { type: 'key', privateKey: Buffer.from(rsa) }
    expect((await rejection(session.authenticate(key, 'publickey'))).code).toBe('login_refused')
    await until('sshd has logged it', () => failures() > before)
    expect(failures()).toBe(before + 1)
  })

  it.each([
    ['no key at all', () => Buffer.from('no key')],
    ['the public half', () => readFileSync(`${sshd.strangerPath}.pub`)],
  ])('sends nothing when the key is %s', async (_, read) => {
    const session = await SshSession.connect(target(), signal)
    const key: Secret = { type: 'key', privateKey: read() }
    expect((await rejection(session.authenticate(key, 'publickey'))).code).toBe('bad_key_file')
  })
})

/** ssh2's server has no public way to say why it hangs up. */
function disconnect(client: Connection, words: string): void {
  const protocol = (client as unknown as { readonly _protocol: { _cipher: Packets; _packetRW: { write: Writer } } })
    ._protocol
  const text = Buffer.from(words)
  const payload = Buffer.alloc(13 + text.length)
  payload[0] = 1
  payload.writeUInt32BE(2, 1)
  payload.writeUInt32BE(text.length, 5)
  text.copy(payload, 9)
  const packet = protocol._packetRW.write.alloc(payload.length, true)
  packet.set(payload, protocol._packetRW.write.allocStartKEX)
  protocol._cipher.encrypt(protocol._packetRW.write.finalize(packet, true))
  client.end()
}

interface Packets {
  encrypt(packet: Buffer): void
}
interface Writer {
  readonly allocStartKEX: number
  alloc(length: number, isKex: boolean): Buffer
  finalize(packet: Buffer, isKex: boolean): Buffer
}
