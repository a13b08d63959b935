import { expect } from 'vitest'
import { VosError } from '../../src/core/errors.ts'

/** What work rejects with, caught from now on, so that a test may go on before it happens. */
export function reasonOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => new Error('it worked'),
    (reason: unknown) => reason,
  )
}

/** The error that work ends with, which must be one that vosctl made. */
export async function rejection(work: Promise<unknown>): Promise<VosError> {
  const error = await reasonOf(work)
  expect(error).toBeInstanceOf(VosError)
  return error as VosError
}
