/** A system call that has succeeded. */
export interface Call {
  readonly name: string
  /** The arguments that are no strings: numbers and names of flags. Without `AT_FDCWD`: our paths are absolute. */
  readonly words: readonly string[]
  /** Those that are: paths and contents. */
  readonly strings: readonly Buffer[]
  readonly result: number
}

/** Every call that can change a file or a directory; which of them the daemon makes depends on the machine. */
const CALLS = [
  'open,openat,creat,close,write,pwrite64,fsync,fdatasync,ftruncate',
  'mkdir,mkdirat,rmdir,link,linkat,unlink,unlinkat,rename,renameat,renameat2',
].join(',')

/**
 * The command that runs a program, as itself, and writes down its calls.
 * @param injection a fault to make, as strace's `--inject` has it
 */
export function straceInto(log: string, injection?: string): string[] {
  // The tracer is the child and the program keeps its place, so that it gets its own signals and its own status.
  const tracer = ['strace', '--daemonize', '--follow-forks', '--strings-in-hex=all', '--string-limit=16777216']
  // Faster by far, but a fault is not made at the right call.
  const how = injection === undefined ? '--seccomp-bpf' : `--inject=${injection}`
  return [...tracer, how, `--output=${log}`, `--trace=${CALLS.replaceAll(/\w+/g, '?$&')}`]
}

/** True when the tracer has seen the last thread end. */
export function isWhole(log: string, pid: number): boolean {
  return new RegExp(`^${pid} +\\+\\+\\+ (exited|killed)`, 'm').test(log.slice(-1000))
}

/** The calls in the order in which they ended; one that never ended may or may not have happened, like any unsynced one. */
export function* parseStrace(log: string): Generator<Call> {
  const unfinished = new Map<string, string>()
  for (const line of log.split('\n')) {
    const [, thread = '', text = ''] = /^(\d+) +(.*)$/.exec(line) ?? []
    if (text.endsWith(' <unfinished ...>')) {
      unfinished.set(thread, text.slice(0, -' <unfinished ...>'.length))
      continue
    }
    const [resumed] = /^<\.\.\. \w+ resumed>/.exec(text) ?? []
    const whole = resumed === undefined ? text : (unfinished.get(thread) ?? '') + text.slice(resumed.length)
    const [, name, args = '', result] = /^(\w+)\((.*)\) += (\d+)/.exec(whole) ?? []
    if (name === undefined) continue
    const all = args.split(', ')
    const strings = all.filter((arg) => arg.startsWith('"'))
    yield {
      name,
      words: all.filter((arg) => !strings.includes(arg) && arg !== 'AT_FDCWD'),
      strings: strings.map(toBytes),
      result: Number(result),
    }
  }
}

function toBytes(arg: string): Buffer {
  return Buffer.from(arg.replaceAll(/["\\x]/g, ''), 'hex')
}
