import { playDialogue } from './dialogue.ts'
import { controlService, listServices } from './service-commands.ts'
import type { Shell } from './shell.ts'

/** Runs one line of the CLI. `exit` means that the session is to end. */
export async function runCommand(shell: Shell, line: string): Promise<'exit' | 'prompt'> {
  const words = line.trim().replace(/\s+/g, ' ')
  if (words === 'exit' || words === 'quit') return 'exit'
  const { answers } = shell.scenario.product
  const answer = Object.hasOwn(answers, words) ? answers[words] : undefined
  if (answer) {
    await playDialogue(shell, answer)
    return 'prompt'
  }
  for (const [pattern, run] of commands) {
    const match = pattern.exec(words)
    if (match === null) continue
    await run(shell, match[1] ?? '')
    return 'prompt'
  }
  if (words !== '') shell.print('No valid command entered\n')
  return 'prompt'
}

type Command = (shell: Shell, argument: string) => Promise<void> | void

const commands: readonly (readonly [RegExp, Command])[] = [
  [/^utils service list( page)?$/, (shell, page) => listServices(shell, page !== '')],
  [/^utils service restart (.+)$/, (shell, name) => controlService(shell, 'restart', name)],
  [/^utils service start (.+)$/, (shell, name) => controlService(shell, 'start', name)],
  [/^utils service stop (.+)$/, (shell, name) => controlService(shell, 'stop', name)],
  // What login-09 shows for a missing argument.
  [/^utils service(?: \w+)?$/, (shell) => shell.print('Incomplete command entered\n')],
  [/^set cli pagination (on|off)$/, setPagination],
  [/^show cli pagination$/, showPagination],
  [/^file view (.+)$/, viewFile],
]

function setPagination(shell: Shell, word: string): void {
  shell.pager.on = word === 'on'
  shell.print(`Automatic pagination is turned ${word}\n\n`)
}

function showPagination(shell: Shell): void {
  shell.print(`Automatic Pagination : ${shell.pager.on ? 'On' : 'Off'}.\n`)
}

async function viewFile(shell: Shell, path: string): Promise<void> {
  const { files } = shell.scenario.product
  const count = Object.hasOwn(files, path) ? files[path] : undefined
  if (count === undefined) shell.print('Executed command unsuccessfully\n')
  else await shell.pager.view(count, (number) => `line ${number}`)
}
