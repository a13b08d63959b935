import { polls } from '../compose.ts'

const running = 'Service Manager is running\n'

/** Finesse 12.5 and its age (restart-01): apostrophe, leading blank, two blanks after each state line. */
export const oldWording = {
  restartPreamble:
    " Don't press Ctrl-c while the service is getting RESTARTED.If Service has not Restarted Properly, execute the same Command Again\n" +
    running,
  startPreamble: running,
  stateLineEnd: '  ',
  restart: [polls('STOPPING', 2), polls('STARTING', 5), polls('STARTED', 2)],
}

/** IM&P (restart-04): another warning, and no STOPPING at all. */
export const newWording = {
  restartPreamble:
    'Do not press Ctrl+C while the service is restarting. If the service has not restarted properly, execute the same command again.\n' +
    running,
  startPreamble: running,
  stateLineEnd: '',
  restart: [polls('STARTING', 2), polls('STARTED', 1)],
}
