import { say } from '../compose.ts'
import type { Product } from '../scenario.ts'
import { platformAnswers } from './answers.ts'
import { cucm125, outOfServiceByRole } from './cucm.ts'
import { common, platformGroup, serviceList } from './service-list.ts'

/** A Unity Connection subscriber; its stopped services are those of list-08. */
export const unityConnection: Product = {
  ...cucm125,
  name: 'Cisco Unity Connection',
  serviceList: serviceList({
    platform: platformGroup,
    started: [
      ...common,
      'Connection Conversation Manager',
      'Connection IMAP Server',
      'Connection Message Transfer Agent',
      'Connection Mixer',
      'Connection Notifier',
      'SNMP Master Agent',
    ],
    stopped: [...outOfServiceByRole, 'Connection HTTPS Directory Feeder[STOPPED]  Commanded Out of Service'],
    trailer: 'Primary Node =false',
  }),
  answers: {
    ...platformAnswers,
    // prompt-03
    'utils cuc encryption enable': [
      say(
        'After successful execution, restart the following services on all nodes in the cluster:\n' +
          ' 1. Connection Conversation Manager\n 2. Connection IMAP Server\n',
      ),
      { ask: 'Do you want to proceed (yes/no)? ', echo: 'text', goesOnWith: 'yes' },
      say('\n'),
      say('Encryption enabled successfully\n\n', 1_000),
    ],
    // misc-02
    'show network cluster': [
      say(
        '10.51.200.9 YT-UCX-PUB.example.org YT-UCX-PUB Publisher connection DBPub authenticated\n' +
          '10.51.202.14 UCX-SUB.example.org UCX-SUB Subscriber connection DBSub authenticated\n',
      ),
    ],
  },
}
