import { readFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import fc from 'fast-check'
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

  it('answers the question of Linux-PAM in another language, whole and as it is, and no other', () => {
    const judge = (prompt: string) => judgeRound({ isFirst: true, isAnswered: false }, [], [hidden(prompt)])
    for (const prompt of [
      'Passwort: ',
      'Mot de passe : ',
      'パスワード:',
      '密码： ',
      'Пароль: ',
      'ססמה: ',
      'Mật khẩu : ',
    ])
      expect([prompt, judge(prompt)]).toEqual([prompt, 'answer'])
    for (const prompt of [
      'Neues Passwort: ',
      'Nouveau mot de passe : ',
      'Zugangscode: ',
      'Sesam',
      '一次性密码：',
      'PIN:',
    ])
      expect([prompt, judge(prompt)]).toEqual([prompt, 'unknown'])
  })

  it.each([
    "One-time password (OATH) for `admin': ",
    'OTP password: ',
    'Token password:',
    'Enter your RSA SecurID password: ',
    'Password or passcode: ',
    'otp-md5 98 th1234 password: ',
    's/key 97 fw13894\nPassword: ',
    'Challenge 4711, response password: ',
    'Second password: ',
    'Duo two-factor login, password: ',
    'Pass\u0000word: ',
    'Pass\u001b[0mword: ',
    '\u202eedocssap ruoy :password: ',
    'Password\u200b: ',
    `Password: ${' '.repeat(4000)}new PIN: `,
    `${'x'.repeat(400)} password: `,
  ])('never takes %j for a plain question', (prompt) => {
    expect(judgeRound({ isFirst: true, isAnswered: false }, [], [hidden(prompt)])).not.toBe('answer')
  })

  it.each(["duo@pin-1's password: ", '(token@code) Password: ', 'Password for rsa@otp: ', '\r\nPassword: '])(
    'answers %j although a user or a host is called like that',
    (prompt) => {
      expect(judgeRound({ isFirst: true, isAnswered: false }, [], [hidden(prompt)])).toBe('answer')
    },
  )

  it('does not answer when the instruction asks for a code, or the question is in it', async () => {
    const answers: string[][] = []
    const code = await meet(
      asking([[hidden('Password: ')]], answers, ['', 'Enter the verification code of your phone']),
    )
    expect((await rejection(code.login())).code).toBe('login_method')
    await server?.isEmpty()
    await server?.close()
    const fake = await meet(asking([[hidden('> ')]], answers, ['Password: ', 'Password: ']))
    expect((await rejection(fake.login())).code).toBe('login_method')
    expect(answers).toEqual([])
  })

  it('does not answer a second round although the first one asked nothing', async () => {
    const answers: string[][] = []
    const { login } = await meet(asking([[], [hidden('Password: ')]], answers))
    const error = await rejection(login())
    expect(error.code).toBe('login_method')
    expect(error.message).toContain('It was not answered')
    // The empty round got its empty answer; the question got none.
    expect(answers).toEqual([[]])
  })

  it('is let in when a round without a question follows the answer, as OpenSSH with PAM has it', async () => {
    const answers: string[][] = []
    const { session, login } = await meet(asking([[hidden('Password: ')], [], []], answers))
    await login()
    expect(answers).toEqual([[SECRET], [], []])
    await session.close()
  })

  it('ends a thousand rounds that ask again at the second one, and a thousand that ask nothing by its time limit', async () => {
    const answers: string[][] = []
    const again = await meet(
      asking(
        Array.from({ length: 1000 }, () => [hidden('Password: ')]),
        answers,
      ),
    )
    expect((await rejection(again.login())).code).toBe('login_refused')
    expect(answers).toEqual([[SECRET]])
    await server?.isEmpty()
    await server?.close()
    const empty: Play = {
      methods: ['keyboard-interactive'],
      onAuthentication: (context) => {
        const ask = (): void => (context as KeyboardAuthContext).prompt([], '', '', () => setImmediate(ask))
        ask()
      },
    }
    const { login } = await meet(empty, { loginMs: 150 })
    expect((await rejection(login())).code).toBe('login_timeout')
  })

  it('gives the password away once at most, and only to a first round of one hidden question, whatever a server asks', async () => {
    const words = fc.constantFrom(
      'Password: ',
      'password:',
      'New password: ',
      'Code: ',
      'Passwort: ',
      '',
      'One-time password: ',
    )
    const prompt = fc.record({
      prompt: fc.oneof(words, fc.string({ unit: 'binary', maxLength: 40 })),
      echo: fc.boolean(),
    })
    const round = fc.array(fc.oneof(prompt, words.map(hidden)), { maxLength: 3 })
    const methods = fc.subarray(['password', 'keyboard-interactive', 'publickey'] as const, { minLength: 1 })
    const ending = fc.constantFrom('accept', 'reject', 'partial', 'change', 'close')
    await fc.assert(
      fc.asyncProperty(fc.array(round, { maxLength: 5 }), methods, ending, async (rounds, offered, end) => {
        const got: {
          readonly round: number
          readonly asked: readonly Prompt[]
          readonly answers: readonly string[]
        }[] = []
        let requests = 0
        const played = await playServer({
          methods: offered,
          onAuthentication: (context, client) => {
            const finish = (): void => {
              if (end === 'accept') context.accept()
              else if (end === 'close') client.end()
              else if (end === 'change' && context.method === 'password')
                context.requestChange('New password: ', () => got.push({ round: -1, asked: [], answers: ['changed'] }))
              else context.reject(offered, end === 'partial')
            }
            const ask = (index: number): void => {
              const asked = rounds[index]
              if (!asked) return finish()
              ;(context as KeyboardAuthContext).prompt([...asked], (answers: unknown) => {
                if (!Array.isArray(answers)) return
                got.push({ round: index, asked, answers })
                ask(index + 1)
              })
            }
            if (context.method === 'password') {
              requests++
              expect(context.password).toBe(SECRET)
              finish()
            } else ask(0)
          },
        })
        try {
          const session = await SshSession.connect(toTarget(played, { timings: QUICK }), signal)
          await session.authenticate(password, session.methodFor('password')).catch(() => {})
          await session.close()
          await played.isEmpty()
        } catch (error) {
          expect(error).toMatchObject({ code: 'login_method' })
        } finally {
          await played.close()
        }
        const given = got.filter(({ answers }) => answers.length > 0)
        expect(given.length + requests).toBeLessThanOrEqual(1)
        for (const { round, asked, answers } of given) {
          expect({ round, answers, questions: asked.map(({ echo }) => echo) }).toEqual({
            round: 0,
            answers: [SECRET],
            questions: [false],
          })
        }
      }),
      { numRuns: 60 },
    )
  })

  it('judges rounds of no question at all as unknown, too', () => {
    expect(judgeRound({ isFirst: true, isAnswered: false }, [], [])).toBe('unknown')
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
