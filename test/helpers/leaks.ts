import { createHook } from 'node:async_hooks'
import { until } from './wait.ts'

/** Timers that vosctl, or ssh2's client for it, starts; the test runner has timers of its own. */
const OURS = /\/src\/(?:core|daemon|cli)\/|\/ssh2\/lib\/client/

/**
 * Call it before a test; call what it returns after: it waits until no socket is open that was not open before, and no
 * timer runs that was started in between.
 */
export function watchLeaks(): () => Promise<void> {
  const timers = new Map<number, string>()
  const hook = createHook({
    init(id, type) {
      if (type !== 'Timeout') return
      const { stack = '' } = new Error('started here')
      if (OURS.test(stack)) timers.set(id, stack)
    },
    destroy(id) {
      timers.delete(id)
    },
  }).enable()
  const before = openSockets()
  return async () => {
    try {
      await until('no socket is left', () => openSockets() <= before)
      await until('no timer is left', () => timers.size === 0).catch((error: unknown) => {
        throw new Error(`a timer is left:\n${[...timers.values()].join('\n')}`, { cause: error })
      })
    } finally {
      hook.disable()
    }
  }
}

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap').length
}
