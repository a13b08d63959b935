import type { ChildProcess } from 'node:child_process'

interface Question {
  readonly id: number
  readonly name: string
  readonly input: unknown
}

let lastId = 0

/**
 * Asks a process of the rig that answers by {@link answer}; one that is stopped answers when it goes on.
 * @throws when it ends before it has answered
 */
export function ask(child: ChildProcess, name: string, input: unknown = null): Promise<unknown> {
  const id = ++lastId
  return new Promise((resolve, reject) => {
    const onMessage = (answer: { readonly id: number; readonly value: unknown }) => {
      if (answer.id !== id) return
      leave()
      resolve(answer.value)
    }
    const onExit = (code: number | null, signal: string | null) => {
      leave()
      reject(new Error(`it ended with ${signal ?? code} before it answered ${name}`))
    }
    const leave = () => child.off('message', onMessage).off('exit', onExit)
    child.on('message', onMessage).on('exit', onExit)
    child.send({ id, name, input } satisfies Question)
  })
}

/** Answers the process that started this one, and ends with it. */
export function answer(table: Readonly<Record<string, (input: never) => unknown>>): Promise<never> {
  const reply = async ({ id, name, input }: Question): Promise<void> => {
    process.send?.({ id, value: await table[name]?.(input as never) })
  }
  process.on('message', (question: Question) => void reply(question))
  process.on('disconnect', () => process.exit())
  return new Promise(() => {})
}
