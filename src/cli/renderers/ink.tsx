import { render } from 'ink'
import { isSettled, type Operation } from '../../core/operation.ts'
import type { Renderer } from '../follow.ts'
import { Follow, type FollowFrame } from '../views/Follow.tsx'
import { titleLines } from '../views/follow-lines.ts'
import { terminalSize } from './choose.ts'
import { followToEnd } from './follow-to-end.ts'
import { createFrames } from './frames.ts'
import { guardStream } from './line-writer.ts'

/**
 * Draws on stderr, on the normal screen. It never reads the keyboard, so Ctrl-C stays a signal and reaches the command.
 * When it resolves everything live is gone; what stays are the title and the lines of those that went well.
 *
 * Ink kills the process at a signal that nobody else listens to. Whoever handles signals must therefore listen with `on`:
 * a listener of `once` is gone already when Ink looks.
 */
export const renderLive: Renderer = async (follow, io) => {
  if (follow.operations.every(isSettled)) return follow.operations
  const screen = io.stderr
  const current = new Map(follow.operations.map((operation) => [operation.id, operation]))
  const finished: Operation[] = []
  let goneSince: number | null = null

  const finish = (operation: Operation) => {
    if (operation.status === 'completed') finished.push(operation)
  }
  follow.operations.forEach(finish)
  const frames = createFrames(
    (now): FollowFrame => ({ now, goneSince, operations: [...current.values()], finished: [...finished] }),
    () => true,
  )

  guardStream(screen)
  const several = follow.operations.length > 1
  const title = titleLines(follow.operations, several ? follow.batch : null, terminalSize(screen, io.env).columns)
  screen.write([...title, ...(several ? [''] : []), ''].join('\n'))
  const app = render(<Follow frames={frames} env={io.env} />, {
    stdout: screen,
    stdin: io.stdin,
    stderr: screen,
    exitOnCtrlC: false,
    patchConsole: false,
    interactive: true,
    isScreenReaderEnabled: false,
    maxFps: 10,
  })
  try {
    return await followToEnd(follow, (update, changes) => {
      goneSince = update.type === 'disconnected' ? update.since : null
      for (const { after } of changes) {
        current.set(after.id, after)
        finish(after)
      }
      frames.wake()
    })
  } finally {
    frames.stop()
    // The last lines of <Static> must be out before the live part is taken away.
    await app.waitUntilRenderFlush()
    app.clear()
    app.unmount()
    await app.waitUntilExit()
  }
}
