import type { Renderer } from '../follow.ts'
import { followToEnd } from './follow-to-end.ts'

/** Waits and draws nothing. */
export const renderNone: Renderer = (follow) => followToEnd(follow)
