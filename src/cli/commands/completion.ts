import { exitStatus, VosError, type ExitStatus } from '../../core/errors.ts'
import { SCRIPTS, SHELLS } from '../completion/scripts.ts'
import type { Context } from '../context.ts'
import { didYouMean } from '../targets.ts'

/** Prints the script whole, whatever the output format: it is for a shell. */
export async function completion({ print }: Pick<Context, 'print'>, word: string): Promise<ExitStatus> {
  const shell = SHELLS.find((name) => name === word)
  if (!shell) {
    const near = didYouMean(word, SHELLS)
    throw new VosError('bad_request', `no completion for "${word}".${near ? ` Did you mean ${near}?` : ''}`, {
      hint: `Say one of: ${SHELLS.join(', ')}.`,
    })
  }
  print(SCRIPTS[shell].trimEnd())
  return exitStatus('ok')
}
