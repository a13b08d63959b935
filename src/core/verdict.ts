import { exitStatus, exitStatusOf, type ExitStatus } from './errors.ts'
import type { Operation } from './operation.ts'

/** The exit status that an operation's ending leads to; null while it runs. */
export function exitStatusFor(operation: Pick<Operation, 'status' | 'error' | 'effect'>): ExitStatus | null {
  switch (operation.status) {
    case 'pending':
    case 'in_progress':
      return null
    case 'completed':
      return exitStatus('ok')
    case 'failed':
      return operation.error ? exitStatusOf(operation.error.code) : exitStatus('failed')
    case 'cancelled':
    case 'interrupted':
      return exitStatus('unreached')
    case 'unknown':
      return exitStatus('unknown')
    default:
      return operation.status satisfies never
  }
}

/** Several verdicts as one: what all share, otherwise `mixed`. */
export function combineExitStatus(statuses: readonly ExitStatus[]): ExitStatus {
  const [first, ...rest] = statuses
  if (first === undefined) return exitStatus('ok')
  return rest.every((status) => status === first) ? first : exitStatus('mixed')
}
