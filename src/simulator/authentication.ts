import type { AuthContext, Connection, KeyboardAuthContext, PasswordAuthContext } from 'ssh2'
import type { Appliance } from './appliance.ts'
import { disconnect, disconnectReasons } from './disconnect.ts'
import type { EntryOf } from './ledger.ts'
import type { Fault, Question } from './scenario.ts'

export interface AuthenticationOptions {
  readonly appliance: Appliance
  readonly client: Connection
  readonly connection: number
  readonly strike: (fault: Fault) => void
  readonly hangUp: () => void
}

/** Answers the authentication requests of one connection. */
export function authenticate({ appliance, client, connection, strike, hangUp }: AuthenticationOptions): void {
  const { access, faults } = appliance.scenario
  const { auth } = access
  let failures = 0
  let open: AuthContext | undefined

  client.on('authentication', (request) => {
    if (request.method === 'none') {
      record(request, false)
      request.reject([...auth.offers])
      return
    }
    abandon()
    open = request
    const fault = appliance.faults.strikes(faults, 'auth')
    if (fault) {
      abandon()
      strike(fault)
      return
    }
    if (request.method === 'password' && auth.accepts.includes('password')) checkPassword(request)
    else if (request.method === 'keyboard-interactive' && auth.accepts.includes('keyboard-interactive')) {
      ask(request, auth.rounds, true)
    } else refuse(request)
  })
  client.on('close', abandon)

  function checkPassword(request: PasswordAuthContext): void {
    const correct = request.username === access.username && request.password === access.password
    if (!appliance.account.admits(correct, auth)) refuse(request)
    else if (auth.expired === 'ssh') request.requestChange(expiredText, () => accept(request, 'password-change'))
    else accept(request)
  }

  function ask(request: KeyboardAuthContext, rounds: readonly (readonly Question[])[], soFar: boolean): void {
    const [round, ...rest] = rounds
    if (round === undefined) {
      const correct = soFar && request.username === access.username
      if (!appliance.account.admits(correct, auth)) refuse(request)
      else if (auth.expired === 'ssh') askForNewPassword(request)
      else accept(request)
      return
    }
    prompt(request, round, (answers) => {
      const right = round.every(({ expects = access.password }, index) => answers[index] === expects)
      ask(request, rest, soFar && right)
    })
  }

  function askForNewPassword(request: KeyboardAuthContext): void {
    prompt(request, newPasswordQuestions, () => accept(request, 'password-change'))
  }

  function prompt(
    request: KeyboardAuthContext,
    questions: readonly Question[],
    answered: (answers: readonly string[]) => void,
  ): void {
    const prompts = questions.map(({ prompt: text, echo }) => ({ prompt: text, echo }))
    request.prompt(prompts, auth.title, auth.instruction, (answers: unknown) => {
      // An aborted request answers with an error.
      if (Array.isArray(answers)) answered(answers)
    })
  }

  function accept(request: AuthContext, method: EntryOf<'auth'>['method'] = request.method): void {
    appliance.clock.after(auth.acceptMs, () => {
      if (open !== request) return
      open = undefined
      record(request, true, method)
      request.accept()
    })
  }

  function refuse(request: AuthContext): void {
    appliance.clock.after(auth.rejectMs, () => {
      if (open !== request) return
      open = undefined
      record(request, false)
      failures += 1
      if (failures < auth.triesPerConnection) request.reject([...auth.offers])
      else {
        disconnect(client, disconnectReasons.protocolError, 'Too many authentication failures')
        hangUp()
      }
    })
  }

  /** A request that was never decided is still an attempt. */
  function abandon(): void {
    if (open) record(open, false)
    open = undefined
  }

  function record(request: AuthContext, accepted: boolean, method: EntryOf<'auth'>['method'] = request.method): void {
    appliance.ledger.record(connection, { type: 'auth', method, username: request.username, accepted })
  }
}

const expiredText = 'Your password has expired. Enter new password: '

/** The questions of Linux-PAM for an expired password. */
const newPasswordQuestions: readonly Question[] = [
  { prompt: '(current) UNIX password: ', echo: false },
  { prompt: 'New password: ', echo: false },
  { prompt: 'Retype new password: ', echo: false },
]
