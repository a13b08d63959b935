import type { ExitStatus } from '../core/errors.ts'
import { ack } from './commands/ack.ts'
import { exportAudit } from './commands/audit.ts'
import { attach, wait } from './commands/attach.ts'
import { cancel } from './commands/cancel.ts'
import { completion } from './commands/completion.ts'
import * as connections from './commands/connections.ts'
import * as credentials from './commands/credentials.ts'
import * as daemon from './commands/daemon.ts'
import { doctor } from './commands/doctor.ts'
import { exportConnections } from './commands/export.ts'
import { hold, release } from './commands/hold.ts'
import { history } from './commands/history.ts'
import { verifyHistory } from './commands/history-verify.ts'
import { importConnections } from './commands/import.ts'
import * as key from './commands/key.ts'
import { logs } from './commands/logs.ts'
import { ps } from './commands/ps.ts'
import { restart } from './commands/restart.ts'
import { status } from './commands/status.ts'
import { test } from './commands/test.ts'
import { trustConnection } from './commands/trust.ts'
import * as token from './commands/token.ts'
import { installUnit, uninstallUnit } from './commands/unit.ts'
import { verify } from './commands/verify.ts'
import { watch } from './commands/watch.ts'
import type { Context } from './context.ts'

/** Does a command; its words and options are as commander leaves them. */
export type Action = (context: Context, words: readonly string[], options: never) => Promise<ExitStatus>

/**
 * What each command does, by its whole name. Loaded together: one file of the bundle loads faster than the thirty that it
 * would be split into otherwise. Only what draws, and the demo, stay apart.
 */
export const ACTIONS: Readonly<Record<string, Action>> = {
  restart,
  test,
  watch,
  ps,
  status: (context, [word]) => status(context, word),
  attach: (context, [word = ''], options) => attach(context, word, options),
  wait,
  cancel: (context, [word = '']) => cancel(context, word),
  ack: (context, [word = '']) => ack(context, word),
  verify: (context, [word = ''], options) => verify(context, word, options),
  hold: (context, [word = ''], options) => hold(context, word, options),
  release: (context, [word = '']) => release(context, word),
  logs: (context, [word = ''], options) => logs(context, word, options),
  history,
  'history verify': (context, _, options) => verifyHistory(context, options),
  export: (context, [word = '', file]) => exportAudit(context, word, file),
  completion: (context, [word = '']) => completion(context, word),
  'connections add': (context, [name = ''], options) => connections.addConnection(context, name, options),
  'connections list': connections.listAll,
  'connections show': (context, [word = '']) => connections.showConnection(context, word),
  'connections edit': (context, [word = ''], options) => connections.editConnection(context, word, options),
  'connections remove': (context, [word = '']) => connections.removeConnection(context, word),
  'connections import': (context, [file = ''], options) => importConnections(context, file, options),
  'connections export': exportConnections,
  'connections trust': (context, [word = ''], options) => trustConnection(context, word, options),
  'connections services': (context, [word = '']) => connections.listServices(context, word),
  'credentials set': (context, [word = ''], options) => credentials.setCredential(context, word, options),
  'credentials test': (context, [word = '']) => credentials.testCredential(context, word),
  'credentials remove': (context, [word = '']) => credentials.removeCredential(context, word),
  'key status': key.keyStatus,
  'key unlock': (context, _, options) => key.unlockKey(context, options),
  'key lock': key.lockKey,
  'key rotate': (context, _, options) => key.rotateKey(context, options),
  'daemon start': daemon.startDaemon,
  'daemon stop': (context, _, options) => daemon.stopDaemon(context, options),
  'daemon restart': (context, _, options) => daemon.restartDaemon(context, options),
  'daemon status': daemon.statusDaemon,
  'daemon logs': (context, _, options) => daemon.logsDaemon(context, options),
  'daemon run': daemon.runDaemon,
  'daemon install': (context, _, options) => installUnit(context, options),
  'daemon uninstall': uninstallUnit,
  'daemon token create': (context, [name = ''], options) => token.createToken(context, name, options),
  'daemon token list': token.listTokens,
  'daemon token revoke': (context, [name = '']) => token.revokeToken(context, name),
  doctor: (context, _, options) => doctor(context, options),
  demo: async (context, _, options) => (await import('./commands/demo.ts')).demo(context, options),
}
