import { setImmediate } from 'node:timers/promises'
import { expect, it, onTestFinished, vi } from 'vitest'
import { VosError } from '../../src/core/errors.ts'
import { House } from '../helpers/manager.ts'
import { ScriptedDevice } from '../helpers/scripted-device.ts'

/** Only what the manager itself waits for; the devices of these tests need no time. */
function stopTimers(): void {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] })
  onTestFinished(() => void vi.useRealTimers())
}

it('keeps one timer for the board: a restart that had ended something left a second one, which ran on for ever', async () => {
  stopTimers()
  const { promise: never } = Promise.withResolvers<void>()
  const house = new House(() => new ScriptedDevice({ pause: () => never }))
  const { id } = house.start(house.add('cucm-pub')).operations[0] ?? { id: '' }
  await setImmediate()
  expect(house.manager.get(id).phase).toBe('connecting')
  vi.clearAllTimers()
  house.crash()
  expect(house.manager.get(id).status).toBe('interrupted')
  expect(vi.getTimerCount()).toBe(1)
})

it('stops a batch whose bad member left the board while its session was still closing: the next one was started', async () => {
  stopTimers()
  const closing = Promise.withResolvers<void>()
  class SlowToClose extends ScriptedDevice {
    override async close(): Promise<void> {
      await closing.promise
    }
  }
  const opened: string[] = []
  const house = new House((name) => {
    opened.push(name)
    return new SlowToClose({ prepare: new VosError('echo_mismatch', 'the echo differs') })
  })
  const { operations } = house.start(['a', 'b'].map((name, index) => house.add(name, `10.0.0.${index + 1}`)))
  const [a, b] = operations.map(({ id }) => id)
  await setImmediate()
  expect(house.manager.get(a ?? '').status).toBe('failed')
  // As after a clock that was set: what ended a moment ago looks old.
  house.clock += 3_600_000
  vi.advanceTimersByTime(5 * 60_000)
  closing.resolve()
  await setImmediate()
  expect(house.manager.get(b ?? '').status).toBe('cancelled')
  expect(opened).toEqual(['a'])
})
