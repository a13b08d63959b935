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
    sample: 16,
  },
  {
    name: 'syscalls',
    what: 'SIGKILL, EIO and ENOSPC at the Nth system call on our files and sockets',
    load: async () => (await import('./syscalls.ts')).default,
    full: 1500,
    sample: 20,
  },
  {
    name: 'watchers',
    what: 'watchers that stop, never acknowledge or never read, under 10,000 events a second',
    load: async () => (await import('./watchers.ts')).default,
    full: 60,
    sample: 6,
  },
  {
    name: 'fuzz',
    what: 'bytes of every kind into everything that reads what comes from outside',
    load: async () => (await import('./fuzz/parsers.ts')).default,
    full: 5_000_000,
    sample: 200_000,
  },
  {
    name: 'mutants',
    what: 'planted bugs, each of which another rig must catch',
    load: async () => (await import('./mutants.ts')).default,
    full: Infinity,
    sample: 4,
  },
  {
    name: 'histories',
    what: 'random histories of people, devices, networks, clocks and kills over the manager and the store',
    load: async () => (await import('./histories.ts')).default,
    full: 5000,
    sample: 60,
  },
  {
    name: 'network',
    what: 'a network that cuts, resets, swallows, flips, drips and delays at every byte of a session',
    load: async () => (await import('./network/network.ts')).default,
    full: Infinity,
    sample: 360,
  },
  {
    name: 'freezes',
    what: 'a device that falls silent, closes or breaks the link, at every phase and in every way',
    load: async () => (await import('./network/freezes.ts')).default,
    full: Infinity,
    sample: 145,
  },
  {
    name: 'pauses',
    what: 'a daemon, a client or a device that stands still, above all between the intent and the Enter',
    load: async () => (await import('./pauses.ts')).default,
    full: Infinity,
    sample: 18,
  },
  {
    name: 'clocks',
    what: 'clocks that are set an hour or ten years ahead or back, at every step',
    load: async () => (await import('./clocks.ts')).default,
    full: Infinity,
    sample: 8,
  },
  {
    name: 'fuzz-socket',
    what: 'malformed, huge, binary and too many packets to a running daemon',
    load: async () => (await import('./fuzz/socket.ts')).default,
    full: 60_000,
    sample: 1500,
  },
  {
    name: 'fuzz-configuration',
    what: 'damaged keys and strange arguments',
    load: async () => (await import('./fuzz/configuration.ts')).default,
    full: 20_000,
    sample: 500,
  },
  {
    name: 'fuzz-database',
    what: 'database files that were damaged, cut, swapped or emptied while no daemon ran',
    load: async () => (await import('./fuzz/database.ts')).default,
    full: 20_000,
    sample: 600,
  },
  {
    name: 'crowd',
    what: 'clients too many, silent, half-way or gone, with few descriptors too',
    load: async () => (await import('./crowd.ts')).default,
    full: 40,
    sample: 4,
  },
  {
    name: 'race',
    what: 'twelve daemons or clients at once: stale sockets, foreign files and sockets in their place',
    load: async () => (await import('./race.ts')).default,
    full: 100,
    sample: 6,
  },
  {
    name: 'power',
    what: 'every state of the disk that a power cut could leave',
    load: async () => (await import('./power/rig.ts')).default,
    full: 30_000,
    sample: 300,
  },
]
