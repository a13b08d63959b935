import type { Product } from '../scenario.ts'
import { platformAnswers, versionAnswer } from './answers.ts'
import { common, platformGroup, serviceList } from './service-list.ts'
import { welcome } from './welcome.ts'
import { newWording, oldWording } from './wording.ts'

const callProcessing = [
  'A Cisco DB',
  'A Cisco DB Replicator',
  'Cisco AXL Web Service',
  'Cisco CallManager',
  'Cisco CallManager SNMP Service',
  'Cisco Certificate Change Notification',
  'Cisco CTIManager',
  'Cisco Database Layer Monitor',
  'Cisco Tftp',
  'Cisco Trust Verification Service',
]

const publisherOnly = ['Cisco CAR DB', 'Cisco CAR Scheduler', 'Cisco CDR Repository Manager', 'Cisco License Manager']

const notActivated = [
  'Cisco DirSync[STOPPED]  Service Not Activated',
  'Cisco Serviceability Reporter[STOPPED]  Service Not Activated',
]

/** What is normal on a subscriber (list-08). */
export const outOfServiceByRole = [
  'Cisco CAR DB[STOPPED]  Commanded Out of Service',
  'Cisco CAR Scheduler[STOPPED]  Commanded Out of Service',
  'Cisco CDR Repository Manager[STOPPED]  Commanded Out of Service',
  'Cisco DRF Master[STOPPED]  Commanded Out of Service',
  'Cisco License Manager[STOPPED]  Commanded Out of Service',
  'Cisco SOAP - CallRecord Service[STOPPED]  Commanded Out of Service',
  'Cisco Intercluster Lookup Service[STOPPED]  Commanded Out of Service',
]

/** A publisher, login and version as in login-01. */
export const cucm115: Product = {
  name: 'Cisco Unified Communications Manager',
  version: '11.5.1.12900-21',
  ident: 'OpenSSH_5.3',
  welcome: welcome([
    '4 vCPU: Intel(R) Xeon(R) CPU E5-2643 0 @ 3.30GHz',
    'Disk 1: 110GB, Partitions aligned',
    '8192 Mbytes RAM',
  ]),
  prompt: 'admin:',
  serviceList: serviceList({
    platform: platformGroup,
    started: [...common, ...callProcessing, ...publisherOnly, 'Cisco DRF Master', 'SNMP Master Agent'],
    stopped: notActivated,
    trailer: 'Primary Node =true',
  }),
  ...oldWording,
  answers: { ...platformAnswers, ...versionAnswer('11.5.1.12900-21') },
  // The two lengths in paging-02; the names are made up.
  files: { 'activelog syslog/messages': 207_554, 'install system-history.log': 1_223 },
}

/** The hardware of login-02. */
export const cucm125: Product = {
  ...cucm115,
  version: '12.5.1.14900-63',
  ident: 'OpenSSH_7.4',
  welcome: welcome([
    '2 vCPU: Intel(R) Xeon(R) CPU E5-2630 v3 @ 2.40GHz',
    'Disk 1: 80GB, Partitions aligned',
    '6144 Mbytes RAM',
  ]),
  answers: { ...platformAnswers, ...versionAnswer('12.5.1.14900-63') },
}

/** A 12.5 machine with the hardware of login-08. */
export const cucm125Small: Product = {
  ...cucm125,
  welcome: welcome([
    '2 vCPU: Intel(R) Xeon(R) CPU E5-2690 v4 @ 2.60GHz',
    'Disk 1: 110GB, Partitions aligned',
    '8192 Mbytes RAM',
  ]),
}

/** From 14 on Tomcat is several services. */
const splitTomcat = ['Cisco AXL Tomcat', 'Cisco HAProxy', 'Cisco SSOSP Tomcat', 'Cisco UDS Tomcat']

/** The banner of login-07 (one hardware line); which wording 15 has is not known. */
export const cucm15: Product = {
  ...cucm125,
  version: '15.0.1.12900-234',
  ident: 'OpenSSH_8.0',
  welcome: welcome(['2 vCPU: Intel(R) Core(TM) i9-10900T CPU @ 1.90GHz']),
  serviceList: serviceList({
    platform: platformGroup,
    started: [
      ...common,
      ...callProcessing,
      ...publisherOnly,
      ...splitTomcat,
      'Cisco DRF Primary',
      'SNMP Primary Agent',
    ],
    stopped: notActivated,
    trailer: 'Primary Node =true',
  }),
  ...newWording,
  answers: { ...platformAnswers, ...versionAnswer('15.0.1.12900-234') },
}

export const cucm14Subscriber: Product = {
  ...cucm15,
  version: '14.0.1.13900-155',
  welcome: cucm125.welcome,
  serviceList: serviceList({
    platform: platformGroup,
    started: [...common, ...callProcessing, ...splitTomcat, 'SNMP Master Agent'],
    stopped: [...outOfServiceByRole, ...notActivated],
    trailer: 'Primary Node =false',
  }),
  answers: { ...platformAnswers, ...versionAnswer('14.0.1.13900-155') },
}
