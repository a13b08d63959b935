import type { Device } from '../../core/device.ts'
import type { DeviceRequest } from './device-request.ts'
import type { Secret } from '../ssh/session.ts'
import type { Connection } from '../../core/connection.ts'
import { LinuxDevice } from './linux.ts'
import { ViaDevice } from './via-device.ts'
import { VosDevice } from './vos/device.ts'

export interface DeviceOptions extends DeviceRequest {
  /** Called once for each machine on the way, when its host key has matched and the attempt to log in is on disk. */
  readonly readSecret: (connection: Connection) => Promise<Secret>
}

/** The port to a device of any platform. Opens nothing yet. */
export function openDevice({ readSecret, ...request }: DeviceOptions): Device {
  const { connection, hops = [] } = request
  const options = { ...request, readSecret: () => readSecret(connection) }
  if (hops.length === 0) return openDirectly(options)
  return new ViaDevice({ ...request, hops, readSecret, device: (through) => openDirectly({ ...options, through }) })
}

function openDirectly(options: DeviceRequest & { readonly readSecret: () => Promise<Secret> }): Device {
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
