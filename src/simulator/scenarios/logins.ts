import { appliance, vary } from '../compose.ts'
import { fault } from '../faults.ts'
import { uccx } from '../products/contact-center.ts'
import { cucm115, cucm125, cucm125Small, cucm15 } from '../products/cucm.ts'
import { imp } from '../products/imp.ts'

/* How the first prompt comes. */

export const loginWithTimestamps = appliance(
  { name: 'login-11.5', story: 'A healthy CUCM 11.5: the prompt after 9.5 s.', evidence: 'login-01' },
  cucm115,
)

export const loginPlain = appliance(
  { name: 'login-12.5', story: 'A CUCM 12.5 with three hardware lines.', evidence: 'login-02' },
  cucm125,
)

export const loginBlankFirst = appliance(
  { name: 'login-uccx', story: 'A blank line before the first words, tabs in the hardware.', evidence: 'login-04' },
  uccx,
)

export const loginWithWarning = appliance(
  { name: 'login-dns-warning', story: 'A WARNING line inside the hardware block.', evidence: 'login-06' },
  imp,
)

export const loginOneLine = appliance(
  { name: 'login-15', story: 'Only the vCPU line; a nudge doubles the prompt.', evidence: 'login-07' },
  cucm15,
)

export const loginSmall = appliance(
  { name: 'login-set-password', story: 'A 12.5 machine on which the password is changed.', evidence: 'login-08' },
  cucm125Small,
)

export const loginWithNotice = appliance(
  {
    name: 'login-replication-notice',
    story: 'A long notice at the CLI after a reboot, before the prompt.',
    evidence: '217304 (§2.5) for its beginning; the end is invented',
  },
  imp,
  {
    product: {
      welcome: [
        ...imp.welcome,
        {
          afterMs: 500,
          text:
            'The Cisco IM and Presence Data Monitor has detected that database replication is not complete,\n' +
            'and/or that the Cisco Sync Agent sync from Cisco Unified Communications Manager is not complete.\n' +
            'Some services will remain in the "Starting" state until replication and the sync are complete.\n\n',
        },
      ],
    },
  },
)

export const loginSlow = vary(
  { name: 'login-slow', story: 'Takes 65 s from the shell to the prompt.', evidence: 'netSSL: 60 s and more (§2.3)' },
  loginPlain,
  { product: { welcome: [{ afterMs: 56_000, text: '' }, ...cucm125.welcome] } },
)

export const loginNever = vary(
  { name: 'login-never', story: 'The banner, and never a prompt.', evidence: '§10 row 6' },
  loginPlain,
  { faults: [fault('prompt', 'silence')] },
)
