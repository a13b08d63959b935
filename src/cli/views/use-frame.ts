import { useSyncExternalStore } from 'react'
import type { Frames } from '../renderers/frames.ts'

/** The frame to draw. One subscription for the whole app: what hangs below gets its values handed down. */
export function useFrame<Frame>(frames: Frames<Frame>): Frame {
  return useSyncExternalStore(frames.subscribe, frames.current)
}
