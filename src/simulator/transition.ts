import type { Clock } from './clock.ts'
import type { Aftermath, ServiceState, Step } from './scenario.ts'
import type { Services } from './services.ts'

/** What drives one service through the steps of a start, stop or restart. */
export interface Transition {
  /** Resolves when the command has nothing more to follow: the prompt comes, unseen steps may still go on. */
  readonly followed: Promise<void>
  /** The command that drives it died, by a lost session or Ctrl-C. */
  orphan(aftermath: Aftermath): void
  /** The appliance itself went down. */
  cancel(): void
}

export interface TransitionOptions {
  readonly service: string
  readonly steps: readonly Step[]
  readonly services: Services
  readonly clock: Clock
  readonly firstLineMs: number
  readonly pollMs: number
  /** Called for every poll that the command prints. */
  readonly onPoll: (state: ServiceState) => void
}

export function startTransition(options: TransitionOptions): Transition {
  const { service, steps, services, clock, firstLineMs, pollMs, onPoll } = options
  let position: 'before' | 'moving' | 'unseen' = 'before'
  let following = true
  let over = false
  let release = (): void => {}
  const followed = new Promise<void>((resolve) => {
    release = resolve
  })

  function unfollow(): void {
    following = false
    release()
  }

  async function run(): Promise<void> {
    await clock.wait(firstLineMs)
    for (const step of steps) {
      if (over) return
      position = 'polls' in step ? 'moving' : 'unseen'
      if (position === 'unseen') unfollow()
      services.set(service, step.state, step.reason)
      for (const other of step.also ?? []) services.set(other.service, other.state, other.reason)
      await last(step)
    }
    position = 'unseen'
    unfollow()
  }

  async function last(step: Step): Promise<void> {
    if ('unseenMs' in step) return clock.wait(step.unseenMs)
    if ('unseenLists' in step) return services.shown(step.unseenLists)
    for (let poll = 0; poll < step.polls; poll += 1) {
      if (over) return
      if (following) onPoll(step.state)
      await clock.wait(pollMs)
    }
  }

  function orphan(aftermath: Aftermath): void {
    unfollow()
    if (aftermath === 'goes-on' || over || position === 'unseen') return
    if (aftermath === 'never-began' && position === 'moving') return
    over = true
    // A stop by command leaves this reason in the list; that a killed restart does too is a guess.
    if (aftermath === 'stays-stopped') services.set(service, 'STOPPED', 'Commanded Out of Service')
  }

  function cancel(): void {
    over = true
    unfollow()
  }

  void run()
  return { followed, orphan, cancel }
}
