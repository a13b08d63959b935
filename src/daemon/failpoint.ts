import { writeSync } from 'node:fs'
import type { Duplex } from 'node:stream'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

declare global {
  /** Set to true by the build that the fault rigs make, to false by the one that is shipped, where nothing of this remains. */
  var VOSCTL_FAULTS: boolean | undefined
}

/**
 * A named place before or after a durable step or a byte that leaves. The fault rigs stop the daemon there; in what is
 * shipped it is nothing.
 * @param about what it concerns, for the trace
 */
export function failpoint(name: string, about?: () => string): void {
  if (globalThis.VOSCTL_FAULTS) reach(name, about)
}

/** Failpoints around every packet that leaves on this socket. */
export function failpointsAroundWrites(socket: Duplex): void {
  if (globalThis.VOSCTL_FAULTS) {
    const write = socket.write.bind(socket) as (...words: unknown[]) => boolean
    socket.write = (...words: unknown[]) => {
      failpoint('packet.before')
      const isFlushed = write(...words)
      failpoint('packet.after')
      return isFlushed
    }
  }
}

const counts = new Map<string, number>()
let plan: Map<string, string> | undefined
let clockOffsetMs = 0

if (globalThis.VOSCTL_FAULTS) {
  // At once: whoever takes the function itself, as the composition root does, takes this one.
  const { now } = Date
  Date.now = () => now() + clockOffsetMs
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  process.on('SIGUSR2', () => {
    collectGarbage()
    const { heapUsed, rss } = process.memoryUsage()
    writeSync(2, `holds ${JSON.stringify({ heapUsed, rss, resources: process.getActiveResourcesInfo() })}\n`)
  })
}

/** `VOSCTL_FAILPOINTS=enter.before#1=kill,write.done#3=clock:-3600000` says what happens at which passage of a place. */
function reach(name: string, about?: () => string): void {
  plan ??= new Map(
    (process.env['VOSCTL_FAILPOINTS'] ?? '').split(',').map((each) => each.split('=') as [string, string]),
  )
  const count = (counts.get(name) ?? 0) + 1
  counts.set(name, count)
  const place = `${name}#${count}`
  const action = plan.get(place)
  if (action !== undefined || process.env['VOSCTL_FAILPOINT_TRACE'] === '1') {
    writeSync(2, `failpoint ${place} ${about?.() ?? ''}\n`)
  }
  if (action === 'kill' || action === 'stop') {
    process.kill(process.pid, action === 'kill' ? 'SIGKILL' : 'SIGSTOP')
    // The signal is on its way: not one instruction more before it is here.
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, action === 'kill' ? Infinity : 20)
  } else if (action?.startsWith('clock:')) {
    clockOffsetMs += Number(action.slice('clock:'.length))
  }
}
