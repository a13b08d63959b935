import { until } from './wait.ts'

/** What keeps this process busy: open sockets and running timers. */
function busy(): { readonly sockets: number; readonly timers: number } {
  const resources = process.getActiveResourcesInfo()
  return {
    sockets: resources.filter((name) => name === 'TCPSocketWrap').length,
    timers: resources.filter((name) => name === 'Timeout').length,
  }
}

/** Call before; call what it returns after: it waits until no socket and no timer is left that was not there before. */
export function watchLeaks(): () => Promise<void> {
  const before = busy()
  return async () => {
    await until('no socket and no timer is left', () => {
      const now = busy()
      // The wait itself has one timer between two looks, and none while it looks.
      return now.sockets <= before.sockets && now.timers <= before.timers
    })
  }
}
