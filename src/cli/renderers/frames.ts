/** The shortest time between two frames. */
const FRAME_MS = 250
/** Between frames when nothing moves but the clock. */
const IDLE_MS = 1000

export interface Frames<Frame> {
  /** The frame to draw now; the same object until the next one. */
  readonly current: () => Frame
  readonly subscribe: (listener: () => void) => () => void
  /** Something has changed: the next frame comes at once, or as soon as the last one is old enough. */
  readonly wake: () => void
  /** Takes a last frame and stops the timer. */
  readonly stop: () => void
}

/**
 * The one timer of a drawing app. However many updates come, at most four frames a second are taken from `take`; without
 * updates they keep the clock going: four a second while something runs, otherwise one.
 */
export function createFrames<Frame>(take: (now: number) => Frame, isBusy: (frame: Frame) => boolean): Frames<Frame> {
  const listeners = new Set<() => void>()
  let frame = take(Date.now())
  let takenAt = performance.now()
  let timer: NodeJS.Timeout | undefined
  let stopped = false
  let hurried = false

  const schedule = (ms: number) => {
    clearTimeout(timer)
    timer = setTimeout(next, ms)
  }
  const next = () => {
    takenAt = performance.now()
    hurried = false
    frame = take(Date.now())
    if (!stopped) schedule(isBusy(frame) ? FRAME_MS : IDLE_MS)
    for (const listener of listeners) listener()
  }
  schedule(FRAME_MS)

  return {
    current: () => frame,
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    wake: () => {
      if (stopped || hurried) return
      hurried = true
      schedule(Math.max(0, takenAt + FRAME_MS - performance.now()))
    },
    stop: () => {
      stopped = true
      clearTimeout(timer)
      next()
    },
  }
}
