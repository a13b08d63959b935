import type { Io } from './follow.ts'
import type { Leaving } from './leaving.ts'
import { createLineWriter } from './renderers/line-writer.ts'

/** Help needs neither parser nor daemon, so it is looked at before either is loaded. */
export async function enter(argv: readonly string[], io: Io, leaving: Leaving): Promise<number> {
  if (argv.length === 0 || argv.some((word) => ['help', '--help', '-h'].includes(word))) {
    const { helpRequest } = await import('./help-request.ts')
    const page = helpRequest(argv, io.env)
    if (page) {
      const print = createLineWriter(io.stdout)
      for (const line of page.lines) print(line)
      return page.status
    }
  }
  const { run } = await import('./run.ts')
  return await run(argv, io, leaving)
}
