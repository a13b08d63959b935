/**
 * All commands in one place to load: together they are one file of the bundle, and one file loads faster than the thirty
 * that they would otherwise be split into. Only what draws, and the demo, stay apart.
 */
export { ack } from './commands/ack.ts'
export { attach, wait } from './commands/attach.ts'
export { cancel } from './commands/cancel.ts'
export {
  addConnection,
  editConnection,
  listAll,
  listServices,
  removeConnection,
  showConnection,
  trustConnection,
} from './commands/connections.ts'
export { removeCredential, setCredential, testCredential } from './commands/credentials.ts'
export { logsDaemon, restartDaemon, runDaemon, startDaemon, statusDaemon, stopDaemon } from './commands/daemon.ts'
export { history } from './commands/history.ts'
export { logs } from './commands/logs.ts'
export { ps } from './commands/ps.ts'
export { restart } from './commands/restart.ts'
export { status } from './commands/status.ts'
export { test } from './commands/test.ts'
export { watch } from './commands/watch.ts'
export { openSession } from './session.ts'
