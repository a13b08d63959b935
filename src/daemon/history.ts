import { setImmediate } from 'node:timers/promises'
import { VosError } from '../core/errors.ts'
import type { Operation } from '../core/operation.ts'
import type { ChainPage, HistoryVerification, JournalHead } from '../core/protocol.ts'
import { digestOf, type Chain } from './store/chain.ts'
import type { Store } from './store/store.ts'

/** Links in one part of a chain, unless fewer are asked for: with their texts some hundred kilobytes. */
const PAGE = 1000

/** Verifies one at a time: whoever asks the same meanwhile gets the same answer. */
export function createVerifier(store: Store, isStopping: () => boolean) {
  let underWay: { readonly asked: string; readonly answer: Promise<HistoryVerification> } | undefined
  const pause = async (): Promise<void> => {
    await setImmediate()
    if (isStopping()) throw new VosError('draining', 'The daemon is stopping: history was not read to its end.')
  }
  return (heads: readonly JournalHead[]): Promise<HistoryVerification> => {
    const asked = JSON.stringify(heads)
    if (underWay && underWay.asked !== asked) {
      // The client asks again by itself.
      throw new VosError('too_many_requests', 'History is being verified for somebody else.', { hint: 'Ask again.' })
    }
    const answer = underWay?.answer ?? store.verify(heads, pause).finally(() => (underWay = undefined))
    underWay ??= { asked, answer }
    return answer
  }
}

/** The events of an operation with what lies between them: a part of the chain that can be computed anew without the rest. */
export function chainPage(chain: Chain, { id }: Operation, after = 0, limit = PAGE): ChainPage {
  const { id: chainId, nonce, begunAt, begunAfter } = chain.anchor()
  const { first, last } = chain.span(id)
  const before = chain.before(Math.max(first, after + 1))
  const links = chain.links(before.cursor, limit).filter(({ cursor }) => cursor <= last)
  const end = links.at(-1)?.cursor ?? last
  return {
    chain: { id: chainId.toString('hex'), begunAt, begunAfter, nonce: nonce.toString('hex') },
    before: toHead(before),
    links: links.map((link) => {
      const { cursor } = link
      if (link.digest !== null) return { cursor, digest: link.digest.toString('hex') }
      if (link.operationId !== id) return { cursor, digest: digestOf(chainId, link).toString('hex') }
      const { seq, at, event, hash } = link
      return { cursor, seq, at, event, hash: hash?.toString('hex') ?? '' }
    }),
    next: end < last ? end : null,
    head: toHead(chain.head()),
  }
}

export function toHead({ cursor, hash }: { readonly cursor: number; readonly hash: Buffer }): JournalHead {
  return { cursor, hash: hash.toString('hex') }
}

/** `4133:9f86…`, as `history verify --head` reads it. */
export function headWords({ cursor, hash }: JournalHead): string {
  return `${cursor}:${hash}`
}
