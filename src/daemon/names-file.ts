import fs from 'node:fs'
import path from 'node:path'
import { needsAcknowledgement, type OperationEvent, type Operation } from '../core/operation.ts'
import type { NamedOperation, Names } from '../core/names.ts'
import type { Manager } from './manager.ts'
import type { Store } from './store/store.ts'

/** Between two writes: a busy house does not write a file for each event. */
const PAUSE_MS = 1000
/** A person completes what is on the screen, not what was last year. */
const MAX_OPERATIONS = 100
const FROM_HISTORY = 30

/** After these an operation is called or described otherwise. */
const TELLING: readonly OperationEvent['type'][] = [
  'accepted',
  'connecting',
  'resolved',
  'settled',
  'acknowledged',
  'verified',
]

/**
 * Keeps `file` as {@link Names}: what shells complete, so that a press of Tab reads one small file and asks nobody. It is
 * never synced, because nothing depends on it, and no failure to write it goes further than the log.
 * @returns writes at once what was not written yet, for the end
 */
export function keepNames(
  file: string,
  { connections, operations }: Store,
  manager: Manager,
  log: (line: string) => void,
): () => void {
  let known: Names['connections'] | null = null
  let written = ''
  let hasFailed = false
  let timer: NodeJS.Timeout | undefined
  let writtenAt = -Infinity

  const write = (): void => {
    timer = undefined
    writtenAt = performance.now()
    try {
      known ??= connections.named()
      const text = JSON.stringify({
        connections: known,
        operations: recent(manager.board(), operations),
      } satisfies Names)
      if (text === written) return
      replace(file, text)
      written = text
      hasFailed = false
    } catch (error) {
      if (!hasFailed) log(`names for completion were not written: ${(error as Error).message}`)
      hasFailed = true
    }
  }
  const changed = (): void => {
    timer ??= setTimeout(write, Math.max(0, writtenAt + PAUSE_MS - performance.now())).unref()
  }
  // The timer runs when the transaction that calls has ended, either way.
  connections.onChange(() => {
    known = null
    changed()
  })
  manager.onEvent(({ event }) => {
    if (TELLING.includes(event.type)) changed()
  })
  write()
  return () => {
    if (timer === undefined) return
    clearTimeout(timer)
    write()
  }
}

function recent(board: readonly Operation[], operations: Store['operations']): NamedOperation[] {
  return [...board.toReversed(), ...operations.history(null, FROM_HISTORY)]
    .slice(0, MAX_OPERATIONS)
    .map((operation) => {
      const { id, type, service, status, connection, batch } = operation
      return {
        id,
        type,
        service,
        status,
        connection: connection.name,
        batch: batch?.id ?? null,
        open: needsAcknowledgement(operation),
      }
    })
}

/** A reader finds the old text or the new one, never half of one. */
function replace(file: string, text: string): void {
  const next = path.join(path.dirname(file), `.${path.basename(file)}.new`)
  fs.rmSync(next, { force: true })
  fs.writeFileSync(next, text, { mode: 0o600, flag: 'wx' })
  fs.renameSync(next, file)
}
