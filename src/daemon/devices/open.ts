import type { Connection, Timings } from '../../core/connection.ts'
import type { Device } from '../../core/device.ts'
import type { Secret } from '../ssh/session.ts'
import { LinuxDevice } from './linux.ts'
import { VosDevice } from './vos/device.ts'

export interface DeviceOptions {
  readonly connection: Connection
  readonly timings: Timings
  /** Called once, when the host key has matched and the attempt to log in is on disk. */
  readonly readSecret: () => Promise<Secret>
  readonly signal: AbortSignal
}

/** The port to a device of any platform. Opens nothing yet. */
export function openDevice(options: DeviceOptions): Device {
  const { platform } = options.connection
  switch (platform) {
    case 'vos':
      return new VosDevice(options)
    case 'linux':
      return new LinuxDevice(options)
    default:
      return platform satisfies never
  }
}
