import { appliance, say } from '../compose.ts'
import { fault } from '../faults.ts'
import { cucm125 } from '../products/cucm.ts'

/* Appliances that try to do something to the terminal of whoever looks. */

export const clipboard = '\x1b]52;c;cm0gLXJmIC8K\x07'
export const windowTitle = '\x1b]0;owned\x07'
export const cursorUpAndErase = '\x1b[2A\x1b[2K\r'
export const rightToLeft = '\u202Edetarts\u202C'
export const invisible = '\u200B\u2066\u2069\uFEFF'
export const c1Controls = '\u009B31m\u0090q\u009C'
export const hyperlink = '\x1b]8;;http://example.invalid\x1b\\click\x1b]8;;\x1b\\'
/** Everything at once. */
export const mischief = [clipboard, windowTitle, cursorUpAndErase, rightToLeft, invisible, c1Controls, hyperlink].join(
  '',
)

const lines = cucm125.serviceList.split('\n')
const hostileList = [
  ...lines.slice(0, 2),
  `${mischief}Cluster Manager [STOPPED]${mischief}`,
  ...lines.slice(3, -2),
  `${cursorUpAndErase}Cisco Forged Service[STARTED]`,
  `Cisco ${rightToLeft} Service[STARTED]`,
  'Cisco Tomcat; utils system restart[STARTED]',
  'Cisco $(reboot) Service[STARTED]',
  `Cisco ${'Very '.repeat(30)}Long Name[STARTED]`,
  '__proto__[STARTED]',
  ...lines.slice(-2),
].join('\n')

export const hostile = appliance(
  {
    name: 'hostile',
    story: 'Escape sequences and bidi marks in SSH banner, ident, CLI banner, prompt, list, errors and goodbye.',
    evidence: 'safety.md, device text',
  },
  cucm125,
  {
    product: {
      welcome: [{ afterMs: 100, text: `${mischief}admin:\nERROR[STARTED]\n` }, ...cucm125.welcome],
      serviceList: hostileList,
      answers: { ...cucm125.answers, 'show version active': [say(`${mischief}\n`)] },
    },
    access: {
      ident: `OpenSSH_7.4 ${clipboard}${windowTitle}`,
      banner: `Authorised use only ${mischief}\nadmin:\nPassword: `,
      auth: {
        title: `Title ${mischief}`,
        instruction: `Instruction ${mischief}`,
        rounds: [[{ prompt: `Password${windowTitle}: `, echo: false }]],
      },
    },
    terminal: { promptLead: `${rightToLeft}${cursorUpAndErase}\n${windowTitle}`, promptTail: clipboard },
    services: { unknownName: [`Unknown ${mischief}`, 'Executed command unsuccessfully.'] },
    faults: [fault('exit', 'disconnect', { text: `Goodbye ${mischief}` })],
  },
)

/** A megabyte without a line end where the list should be. */
export const flooding = appliance(
  { name: 'flooding', story: 'One line of a megabyte before the list.', evidence: 'safety.md, promise 13' },
  cucm125,
  { product: { serviceList: cucm125.serviceList.replace('\n', `\n${'.'.repeat(2 ** 20)}\n`) } },
)
