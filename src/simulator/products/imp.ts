import type { Product } from '../scenario.ts'
import { platformAnswers, versionAnswer } from './answers.ts'
import { common, platformGroup, serviceList } from './service-list.ts'
import { welcome } from './welcome.ts'
import { newWording } from './wording.ts'

/** IM and Presence, with the DNS warning inside the hardware block (login-06). */
export const imp: Product = {
  name: 'Cisco IM and Presence',
  version: '12.5.1.18900-5',
  ident: 'OpenSSH_7.4',
  welcome: welcome([
    '128 vCPU: Intel(R) Xeon(R) CPU E5-2699A v4 @ 2.40GHz',
    'Disk 1: 80GB, Partitions aligned',
    '4096 Mbytes RAM',
    'WARNING: DNS unreachable',
  ]),
  prompt: 'admin:',
  serviceList: serviceList({
    platform: platformGroup,
    started: [
      ...common,
      'A Cisco DB',
      'A Cisco DB Replicator',
      'Cisco Client Profile Agent',
      'Cisco Intercluster Sync Agent',
      'Cisco Presence Datastore',
      'Cisco Presence Engine',
      'Cisco Route Datastore',
      'Cisco SIP Proxy',
      'Cisco Sync Agent',
      'Cisco XCP Authentication Service',
      'Cisco XCP Config Manager',
      'Cisco XCP Connection Manager',
      'Cisco XCP Router',
      'Cisco XCP Text Conference Manager',
      'SNMP Master Agent',
    ],
    stopped: ['Cisco XCP XMPP Federation Connection Manager[STOPPED]  Service Not Activated'],
    trailer: 'Primary Node =false',
  }),
  ...newWording,
  answers: { ...platformAnswers, ...versionAnswer('12.5.1.18900-5') },
  files: {},
}
