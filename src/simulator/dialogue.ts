import type { Turn } from './scenario.ts'
import type { Shell } from './shell.ts'

/** Plays a fixed dialogue to its end, or to the first answer that is not the one it goes on with. */
export async function playDialogue(shell: Shell, turns: readonly Turn[]): Promise<void> {
  for (const turn of turns) {
    if ('say' in turn) {
      if (turn.afterMs !== undefined) await shell.appliance.clock.wait(turn.afterMs)
      shell.print(turn.say)
    } else if ('ask' in turn) {
      const answer = await shell.ask(turn.ask, turn.echo)
      if (answer === null) return
      if (turn.goesOnWith !== undefined && answer.trim() !== turn.goesOnWith) return
    } else shell.appliance.power.reboot()
  }
}

/**
 * An expired password as `passwd` asks it in the shell, then the session ends. Only `UNIX password: ` is evidence
 * (login-09); the words around it are those of Linux.
 */
export async function expiredPassword(shell: Shell): Promise<void> {
  await playDialogue(shell, [
    {
      say:
        'WARNING: Your password has expired.\nYou must change your password now and login again!\n' +
        'Changing password for user admin.\nChanging password for admin.\n',
    },
    { ask: '(current) UNIX password: ', echo: 'nothing' },
    { ask: 'New password: ', echo: 'nothing' },
    { ask: 'Retype new password: ', echo: 'nothing' },
    { say: 'passwd: all authentication tokens updated successfully.\n' },
  ])
  await shell.close('')
}
