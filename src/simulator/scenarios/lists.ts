import { appliance } from '../compose.ts'
import { finesse, uccx } from '../products/contact-center.ts'
import { cucm125, cucm14Subscriber } from '../products/cucm.ts'
import { hcmf } from '../products/hcmf.ts'
import { unityConnection } from '../products/unity-connection.ts'
import { vvb } from '../products/vvb.ts'

/* Service lists of every shape. */

export const vvbList = appliance(
  {
    name: 'list-vvb',
    story: 'No platform group, three services on one line, `Command successful` at the end.',
    evidence: 'list-01',
  },
  vvb,
)

export const hcmfList = appliance(
  { name: 'list-hcmf', story: '`[ STOPPED ]` with blanks inside; web services down.', evidence: 'list-02' },
  hcmf,
)

export const cucmList = appliance(
  {
    name: 'list-cucm',
    story: 'The platform group with a blank before the bracket, then the rest.',
    evidence: 'list-04',
  },
  cucm125,
)

export const subscriberList = appliance(
  { name: 'list-subscriber', story: 'Services commanded out of service by role.', evidence: 'list-08' },
  cucm14Subscriber,
)

export const unityConnectionList = appliance(
  { name: 'list-unity-connection', story: 'A Unity Connection subscriber.', evidence: 'list-08, misc-02, prompt-03' },
  unityConnection,
)

export const finesseList = appliance(
  { name: 'list-finesse', story: 'Names with Primary where others say Master.', evidence: '§6.1' },
  finesse,
)

export const neighbours = appliance(
  {
    name: 'list-neighbours',
    story: 'Cisco Tomcat beside Stats Servlet and Finesse Tomcat; names with dot and hyphen.',
    evidence: '§4.6, start-01',
  },
  uccx,
)

/** Words in the brackets that belong to another product's control centre. */
export const strangeStates = appliance(
  {
    name: 'list-strange-states',
    story: 'PARTIAL SERVICE, SHUTDOWN and nothing in the brackets.',
    evidence: '§4.5 [K]',
  },
  uccx,
  {
    product: {
      serviceList: uccx.serviceList
        .replace('Engine[STARTED]', 'Engine[PARTIAL SERVICE]')
        .replace('Socket.IO Service[STARTED]', 'Socket.IO Service[SHUTDOWN]')
        .replace('MIB2 Agent[STARTED]', 'MIB2 Agent[]'),
    },
  },
)

/** Not a list at all: the Service Manager has nothing to say (§4.6). */
export const emptyList = appliance(
  { name: 'list-empty', story: 'The list ends before its first service.', evidence: '§4.6; invented' },
  cucm125,
  { product: { serviceList: 'Requesting service status, please wait...\n' } },
)
