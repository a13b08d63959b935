import type { Device, SessionFacts } from '../../src/core/device.ts'

/** What a recipe does between `connect` and the first command, without the journal between its steps. */
export async function authenticateAndOpen(device: Device): Promise<SessionFacts> {
  await device.authenticate()
  return device.open()
}
