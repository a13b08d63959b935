import type { Timed } from '../scenario.ts'

/** The CLI's first words, with the pauses of a healthy CUCM 11.5: 8.6 s from the shell to the prompt (login-01). */
export function welcome(hardware: readonly string[], before = ''): readonly Timed[] {
  return [
    { afterMs: 670, text: `${before}Command Line Interface is starting up, please wait ...\n\n` },
    { afterMs: 5_390, text: '   Welcome to the Platform Command Line Interface\n\n' },
    { afterMs: 1_620, text: `VMware Installation:\n${hardware.map((line) => `\t${line}\n`).join('')}\n` },
    { afterMs: 930, text: '' },
  ]
}
