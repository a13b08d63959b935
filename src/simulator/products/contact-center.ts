import { say } from '../compose.ts'
import type { Product } from '../scenario.ts'
import { platformAnswers, versionAnswer } from './answers.ts'
import { common, platformGroup, serviceList } from './service-list.ts'
import { welcome } from './welcome.ts'
import { oldWording } from './wording.ts'

const hardware = ['2 vCPU: Intel(R) Xeon(R) CPU E5-4669 v4 @ 2.20GHz', 'Disk 1: 146GB, Partitions aligned']

export const finesse: Product = {
  name: 'Cisco Finesse',
  version: '12.5.1.10000-105',
  ident: 'OpenSSH_7.4',
  welcome: welcome([...hardware, '8192 Mbytes RAM']),
  prompt: 'admin:',
  serviceList: serviceList({
    platform: platformGroup,
    // The Finesse lists seen already say Primary where CUCM of that age says Master.
    started: [
      ...common,
      'Cisco DRF Primary',
      'Cisco Finesse Notification Service',
      'Cisco Finesse Tomcat',
      'Cisco Web Proxy Service',
      'SNMP Primary Agent',
    ],
    stopped: [],
    trailer: 'Primary Node =true',
  }),
  ...oldWording,
  answers: { ...platformAnswers, ...versionAnswer('12.5.1.10000-105') },
  files: {},
}

/** A blank line before the first words, tabs in the hardware block (login-04). */
export const uccx: Product = {
  ...finesse,
  name: 'Cisco Unified Contact Center Express',
  version: '12.5.1.10000-31',
  welcome: welcome([...hardware, '10240 Mbytes RAM'], '\n'),
  serviceList: serviceList({
    platform: platformGroup,
    started: [
      ...common,
      'Cisco DRF Master',
      'Cisco Finesse Tomcat',
      'Cisco Unified CCX Administration',
      'Cisco Unified CCX Engine',
      'Cisco Unified CCX Socket.IO Service',
      'SNMP Master Agent',
    ],
    stopped: [],
    trailer: 'Primary Node =true',
  }),
  answers: {
    ...platformAnswers,
    ...versionAnswer('12.5.1.10000-31'),
    // login-04; passwords are masked in the transcript.
    'utils reset_3rdpartygadget_password': [
      { ask: 'New Password: ', echo: 'stars' },
      { ask: 'Confirm New Password: ', echo: 'stars' },
      say('Updating password for 3rdpartygadget...\n\n'),
      say('Password updated successfully.\n', 1_000),
    ],
  },
}
