import { useStdout } from 'ink'
import { useEffect, useState } from 'react'
import { terminalSize, type TerminalSize } from '../renderers/choose.ts'

/** Columns and rows of the terminal that is drawn on, after every resize anew. */
export function useTerminalSize(env: NodeJS.ProcessEnv): TerminalSize {
  // Ink types it as any stream; it is the terminal that render() was given.
  const stdout = useStdout().stdout as NodeJS.WriteStream
  const [size, setSize] = useState(() => sizeOf(stdout, env))
  useEffect(() => {
    const measure = () => setSize(sizeOf(stdout, env))
    stdout.on('resize', measure)
    return () => {
      stdout.off('resize', measure)
    }
  }, [stdout, env])
  return size
}

function sizeOf(stdout: NodeJS.WriteStream, env: NodeJS.ProcessEnv): TerminalSize {
  const { columns, rows } = terminalSize(stdout, env)
  return { columns: columns || 80, rows: rows || 24 }
}
