import { appliance, type Changes } from '../compose.ts'
import { cucm125 } from '../products/cucm.ts'
import type { Scenario } from '../scenario.ts'

/* Who is let in, and how. Every one of them locks after three failures for 300 s unless it says otherwise. */

export const passwordOnly = admitting('password-only', 'Takes only the password method.', 'login-01', {
  offers: ['password'],
  accepts: ['password'],
})

export const keyboardInteractiveOnly = admitting(
  'keyboard-interactive-only',
  'Takes only keyboard-interactive, with one hidden question.',
  'cucm-mcp 0.5.0 (§1.6)',
  { offers: ['keyboard-interactive'], accepts: ['keyboard-interactive'] },
)

export const passwordOfferedInVain = admitting(
  'password-offered-in-vain',
  'Offers password and keyboard-interactive, but no password ever succeeds.',
  'cucm-mcp 0.5.0 (§1.6)',
  { accepts: ['keyboard-interactive'] },
)

export const bothMethods = admitting('both-methods', 'Takes the password either way.', '§2.1', {})

export const publicKeyOnly = admitting('public-key-only', 'Offers nothing that a password can answer.', '§11.5', {
  offers: ['publickey'],
  accepts: [],
})

export const neverLocks = admitting('never-locks', 'Account locking is off.', '§2.4', { lock: null })

export const hangsUpAtOnce = admitting('hangs-up-at-once', 'The first failure ends the connection.', 'invented', {
  triesPerConnection: 1,
})

export const slowToAuthenticate = admitting('slow-auth', 'Takes 90 s to accept a password.', '§2.1, peers’ limits', {
  acceptMs: 90_000,
})

export const asksForToken = admitting('asks-for-token', 'Asks for the password and a code.', 'invented', {
  offers: ['keyboard-interactive'],
  accepts: ['keyboard-interactive'],
  rounds: [
    [
      { prompt: 'Password: ', echo: false },
      { prompt: 'Code: ', echo: false, expects: '123456' },
    ],
  ],
})

export const asksInTwoRounds = admitting('asks-in-two-rounds', 'A second question after the password.', 'invented', {
  offers: ['keyboard-interactive'],
  accepts: ['keyboard-interactive'],
  rounds: [[{ prompt: 'Password: ', echo: false }], [{ prompt: 'Code: ', echo: false, expects: '123456' }]],
})

export const asksVisibly = admitting('asks-visibly', 'One question whose answer is to be shown.', 'invented', {
  offers: ['keyboard-interactive'],
  accepts: ['keyboard-interactive'],
  rounds: [[{ prompt: 'Site code: ', echo: true }]],
})

/** OpenSSH with PAM does this around a real question. */
export const asksNothingFirst = admitting('asks-nothing-first', 'A round without questions comes first.', 'OpenSSH', {
  offers: ['keyboard-interactive'],
  accepts: ['keyboard-interactive'],
  rounds: [[], [{ prompt: 'Password: ', echo: false }]],
})

export const expiredOverSsh = admitting(
  'expired-over-ssh',
  'The password is right and expired: asks for a new one inside SSH.',
  '§2.4; the words are those of Linux',
  { expired: 'ssh' },
)

export const expiredInShell = admitting(
  'expired-in-shell',
  'Lets in, then `passwd` asks for a new password instead of a prompt.',
  'login-09 for `UNIX password: `',
  { expired: 'shell' },
)

type AuthChanges = NonNullable<NonNullable<Changes['access']>['auth']>

function admitting(name: string, story: string, evidence: string, auth: AuthChanges): Scenario {
  return appliance({ name, story, evidence }, cucm125, { access: { auth } })
}
