import { output, ScriptedDevice, type Script } from './scripted-device.ts'

/** A restart that goes well. */
export const GOOD: Script = {
  commit: [{ type: 'sent' }, output('Cisco Tomcat[STOPPING]'), output('Cisco Tomcat[STARTED]'), { type: 'ended' }],
}

/** A device that stands still in `method`, the `nth` time, until it is let go or its operation is aborted. */
export function stuckIn(method: string, nth = 1, script: Script = GOOD) {
  const gate = Promise.withResolvers<void>()
  const devices: ScriptedDevice[] = []
  const open = (_: string, signal: AbortSignal) => {
    const aborted = new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error))
    })
    aborted.catch(() => undefined)
    let times = 0
    const pause = (now: string) =>
      now === method && ++times >= nth ? Promise.race([gate.promise, aborted]) : undefined
    const device = new ScriptedDevice({ ...script, pause })
    devices.push(device)
    return device
  }
  return {
    open,
    release: () => gate.resolve(),
    devices,
    reached: () => devices.some(({ calls }) => calls.includes(method)),
  }
}
