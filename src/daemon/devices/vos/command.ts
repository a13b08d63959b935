import { VosError } from '../../../core/errors.ts'
import { isServiceName } from '../../../core/service-name.ts'

/** Everything that vosctl ever types at a prompt. */
export type Command =
  { readonly type: 'list' } | { readonly type: 'restart'; readonly service: string } | { readonly type: 'exit' }

/**
 * A fixed template, and for a restart one name that the grammar allows.
 * @throws VosError `bad_request` for any other name.
 */
export function toCommandLine(command: Command): string {
  switch (command.type) {
    case 'list':
      return 'utils service list'
    case 'restart':
      if (!isServiceName(command.service)) {
        throw new VosError(
          'bad_request',
          `${JSON.stringify(command.service)} cannot be a service name. Nothing was sent.`,
          {
            hint: 'A name is letters, digits, blanks and . _ - / ( ), at most 96 of them.',
          },
        )
      }
      return `utils service restart ${command.service}`
    case 'exit':
      return 'exit'
    default:
      return command satisfies never
  }
}
