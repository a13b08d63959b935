import type { Io } from './follow.ts'
import type { Leaving } from './leaving.ts'
import { createLineWriter } from './renderers/line-writer.ts'

/** Help and completion need neither parser nor daemon, so they are looked at before either is loaded. */
export async function enter(argv: readonly string[], io: Io, leaving: Leaving): Promise<number> {
  if (argv[0] === 'complete') {
    const { complete } = await import('./completion/complete.ts')
    const lines = complete(argv.slice(1), io.env)
    if (lines) {
      const print = createLineWriter(io.stdout)
      for (const line of lines) print(line)
      return 0
    }
  }
  if (argv.length === 0 || argv.some((word) => ['help', '--help', '-h'].includes(word))) {
    const [{ helpRequest }, { foldPage }, { resultColumns }] = await Promise.all([
      import('./help-request.ts'),
      import('./help.ts'),
      import('./renderers/choose.ts'),
    ])
    const page = helpRequest(argv, io.env)
    if (page) {
      const print = createLineWriter(io.stdout)
      for (const line of foldPage(page.lines, resultColumns(io.stdout, io.env))) print(line)
      return page.status
    }
  }
  const { run } = await import('./run.ts')
  return await run(argv, io, leaving)
}
