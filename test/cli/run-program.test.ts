import { expect, it } from 'vitest'
import { runProgram } from '../../src/cli/run-program.ts'

it.each([
  ['its output and status', ['sh', '-c', 'echo a; exit 3'], { status: 3, stdout: 'a\n', words: 'it exited with 3' }],
  ['its last words, which move no cursor', ['sh', '-c', "echo a >&2; printf 'b\\033[2Jc\\n' >&2"], { words: 'b␛c' }],
  ['that it is not there', ['/nowhere/x'], { status: null, words: 'there is no /nowhere/x' }],
] as const)('a program is run for %s', async (_, [program, ...args], expected) => {
  expect(await runProgram(program, args)).toMatchObject(expected)
})

it('one that takes too long is ended with all that it has started', { timeout: 20_000 }, async () => {
  const ran = await runProgram('sh', ['-c', 'sleep 60 & sleep 60'], { timeoutMs: 200 })
  expect(ran).toEqual({ status: null, stdout: '', words: 'it was ended by SIGKILL' })
})
