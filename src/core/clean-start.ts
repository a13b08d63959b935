type Environment = Readonly<Record<string, string | undefined>>

/** A daemon waits most of its life: a heap that stays small is worth more to it than one that is fast to fill. */
export const SMALL_HEAP = ['--max-semi-space-size=1', '--optimize-for-size']

/** What Node is given before the daemon's program. A signal must not open a debugger to every user of the machine. */
export const NODE_FLAGS = [...SMALL_HEAP, '--disable-sigusr1']

/** Says to `vosd` that it was started as {@link cleanCommand} has it. */
export const CLEAN_START = '--clean-start'

const PASSED_ON = ['PATH', 'HOME', 'USER', 'LOGNAME', 'LANG', 'LANGUAGE', 'TZ', 'TMPDIR', 'NODE_DISABLE_COMPILE_CACHE']

/** The daemon outlives this shell, so nothing of it may decide what the daemon does: no NODE_OPTIONS, LD_PRELOAD, agent. */
export function cleanEnvironment(env: Environment): Record<string, string> {
  const kept = Object.entries(env).filter(([name]) => PASSED_ON.includes(name) || name.startsWith('LC_'))
  return Object.fromEntries(kept.map(([name, value]) => [name, value ?? '']))
}

/**
 * Runs `vosd` with no core file at its end, which would hold every password that it has in hand. Node cannot set that
 * limit for itself; where there is no shell to do it, the daemon still empties its core files.
 */
export function cleanCommand(
  { node, vosd, hasShell }: { readonly node: string; readonly vosd: string; readonly hasShell: boolean },
  args: readonly string[],
): [program: string, ...args: string[]] {
  const command = [...NODE_FLAGS, vosd, CLEAN_START, ...args]
  return hasShell ? ['/bin/sh', '-c', 'ulimit -c 0; exec "$@"', 'sh', node, ...command] : [node, ...command]
}

/** Names that have already acted when the first line of a program runs, on Node or on the loader of libraries. */
export function hasActed(env: Environment): string[] {
  return Object.keys(env).filter(
    (name) => /^(?:NODE_|LD_|DYLD_)/.test(name) && !PASSED_ON.includes(name) && name !== 'NODE_ENV',
  )
}
