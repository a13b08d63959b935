import type { Device } from '../../core/device.ts'
import type { DeviceRequest } from './device-request.ts'
import type { Secret } from '../ssh/session.ts'
import { LinuxDevice } from './linux.ts'
import { VosDevice } from './vos/device.ts'

export interface DeviceOptions extends DeviceRequest {
  /** Called once, when the host key has matched and the attempt to log in is on disk. */
  readonly readSecret: () => Promise<Secret>
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
