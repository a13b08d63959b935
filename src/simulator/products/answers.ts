import { say } from '../compose.ts'
import type { Turn } from '../scenario.ts'

export function versionAnswer(version: string): Record<string, readonly Turn[]> {
  return {
    'show version active': [
      say(
        `Active Master Version: ${version}\nActive Version Installed Software Options:\n` +
          'cmterm-devicepack9.1.2.13070-1.cop\ncmterm-devicepack9.1.2.15130-1.cop\n',
        4_800,
      ),
    ],
  }
}

/** Dialogues that the CUCM family shares. */
export const platformAnswers: Record<string, readonly Turn[]> = {
  // login-08. Whether the asterisks are the device's or the author's is not known.
  'set password user admin': [
    { ask: 'Please enter the old password: ', echo: 'stars' },
    { ask: '   Please enter the new password: ', echo: 'stars' },
    { ask: 'Reenter new password to confirm: ', echo: 'stars' },
    say('Please wait...\n\n\n'),
    say('Password updated successfully.\n', 2_000),
  ],
  // prompt-01
  'utils core active analyze': [
    say(
      'This command may use a considerable amount of I/O\nand running it may impact system performance.\n\n' +
        'It is highly recommended that this command be\nrun off-hours.\n\n',
    ),
    { ask: 'Continue (y/n)?', echo: 'text', goesOnWith: 'y' },
  ],
  // prompt-02; the page has lost its line breaks.
  'utils system restart': [
    say('Do you really want to restart ?\n\n'),
    { ask: 'Enter (yes/no)? ', echo: 'text', goesOnWith: 'yes' },
    { reboots: true },
  ],
  // error-01
  'show haproxy client-auth 9443': [say('Client authentication on the port 9443 is currently set to optional\n\n')],
  'show haproxy client-auth 9456': [
    say(
      'Enter valid values for the port. \nSuggested values are 6971, 6972 and 9443\nExecuted command unsuccessfully\n',
    ),
  ],
}
