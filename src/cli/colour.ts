import type { Io } from './follow.ts'

/** The launcher has turned flags and variables into FORCE_COLOR, which every library obeys; so do we. */
export function wantsColour({ stderr, env }: Pick<Io, 'stderr' | 'env'>): boolean {
  if (env.FORCE_COLOR !== undefined) return !['0', 'false'].includes(env.FORCE_COLOR)
  return Boolean(stderr.isTTY) && !env.NO_COLOR && env.TERM !== 'dumb'
}
