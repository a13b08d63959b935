import type { Rig } from './rig.ts'

interface RigEntry {
  readonly name: string
  /** What it attacks, in one line. */
  readonly what: string
  /** Loaded when it runs: no rig needs the packages of another. */
  readonly load: () => Promise<Rig>
  /** Cases of a full run and of the sample that every test run makes. */
  readonly full: number
  readonly sample: number
}

export const RIGS: readonly RigEntry[] = [
  {
    name: 'kills',
    what: 'SIGKILL before and after every durable step and every packet',
    load: async () => (await import('./kills.ts')).default,
    full: Infinity,
    sample: 40,
  },
  {
    name: 'syscalls',
    what: 'SIGKILL, EIO and ENOSPC at the Nth system call on our files and sockets',
    load: async () => (await import('./syscalls.ts')).default,
    full: 1500,
    sample: 40,
  },
]
