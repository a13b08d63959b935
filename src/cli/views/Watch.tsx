import { useApp, useInput, useStdin, type Key } from 'ink'
import { useEffect, useState } from 'react'
import { isLook, isSettled, maybeSent, needsAcknowledgement, type Operation } from '../../core/operation.ts'
import { sanitise } from '../../core/text.ts'
import type { Frames } from '../renderers/frames.ts'
import type { WatchFrame, WatchRow } from '../renderers/watch-board.ts'
import type { WatchLog } from '../renderers/watch-log.ts'
import { clean, clock, describe, stateWord } from '../renderers/words.ts'
import { useFrame } from './use-frame.ts'
import { useSelection } from './use-selection.ts'
import { BLANK, useRepaint } from './use-repaint.ts'
import { useTerminalSize } from './use-terminal-size.ts'
import { detailPage } from './watch-details.ts'
import { layoutFor } from './watch-layout.ts'
import { HELP, type WatchHeader } from './watch-words.ts'
import { Line } from './Line.tsx'
import { Screen } from './Screen.tsx'
import { WatchScreen } from './WatchScreen.tsx'

/** A sentence about a key stays this long. */
const NOTICE_MS = 10_000
/** Nobody types a longer one, and a pasted page must not become one. */
const LONGEST_FILTER = 60

export interface WatchActions {
  /** Resolves to a sentence: what was done, or why it cannot be. */
  readonly cancel: (id: string) => Promise<string>
  readonly acknowledge: (id: string) => Promise<string>
  readonly verify: (operation: Operation) => Promise<string>
  /** The detail area is large enough for this operation's transcript. */
  readonly wantTranscript: (id: string) => void
  /** From now on frames carry the log of this operation; null: of none. */
  readonly openLog: (id: string | null) => void
  readonly leave: (interrupted: boolean) => void
  /** Returns when the shell says `fg`. */
  readonly stop: () => void
  /** Leaves, to follow this operation alone. */
  readonly attach: (id: string) => void
}

/** What stands in the place of list and detail. `top` is the first line of a log that is drawn; null: its end. */
type Page =
  | { readonly type: 'help' }
  | { readonly type: 'details' }
  | { readonly type: 'log'; readonly id: string; readonly top: number | null }

interface Question {
  readonly text: string
  readonly act: () => Promise<string>
  readonly no: string
}

/** The dashboard: frames in, keys out. */
export function Watch(props: {
  readonly frames: Frames<WatchFrame & { readonly log: WatchLog | null }>
  readonly env: NodeJS.ProcessEnv
  readonly header: () => WatchHeader
  readonly actions: WatchActions
}) {
  const { frames, env, header, actions } = props
  const frame = useFrame(frames)
  const { columns, rows } = useTerminalSize(env)
  const { isRepainting, repaint } = useRepaint({ columns, rows })
  const layout = layoutFor(rows)
  const [paused, setPaused] = useState<WatchFrame | null>(null)
  const [filter, setFilter] = useState('')
  const [isTyping, setTyping] = useState(false)
  const [page, setPage] = useState<Page | null>(null)
  const [question, setQuestion] = useState<Question | null>(null)
  const [notice, setNotice] = useState<{ readonly text: string; readonly until: number } | null>(null)
  const { isRawModeSupported } = useStdin()
  const { suspendTerminal } = useApp()

  const shown = paused ?? frame
  const left = filter === '' ? shown.rows : shown.rows.filter((row) => matches(row, filter))
  const selection = useSelection(left, layout.list, frame.now, page !== null || question !== null || paused !== null)
  const log = page?.type === 'log' && frame.log?.id === page.id ? frame.log.lines : []
  const logEnd = Math.max(0, log.length - layout.page)

  const say = (text: string) => setNotice({ text: clean(text), until: Date.now() + NOTICE_MS })
  const report = (answer: Promise<string>) => {
    answer.then(say, (error: unknown) => say(error instanceof Error ? error.message : String(error)))
  }

  const typeFilter = (input: string, key: Key) => {
    if (key.escape) setFilter('')
    if (key.escape || key.return) return setTyping(false)
    if (key.backspace || key.delete) return setFilter((text) => text.slice(0, -1))
    // Typed fast, or pasted, it comes in one piece, with its end in it.
    const [text = '', ...rest] = input.split('\r')
    if (!key.ctrl && !key.meta)
      setFilter((before) => (before + sanitise(text).replace(/[\n\t]/g, '')).slice(0, LONGEST_FILTER))
    if (rest.length > 0) setTyping(false)
  }

  const move = (by: number) => {
    if (page?.type !== 'log') return selection.move(by)
    const top = Math.max(0, (page.top ?? logEnd) + by)
    setPage({ ...page, top: top >= logEnd ? null : top })
  }

  const turnTo = (next: Page | null) => {
    actions.openLog(next?.type === 'log' ? next.id : null)
    setPage(next)
  }

  const actOn = (input: string, operation: Operation) => {
    const { id, connection } = operation
    switch (input) {
      case 'l':
        return turnTo(page?.type === 'log' ? null : { type: 'log', id, top: null })
      case 'a':
        if (isSettled(operation)) return say(`a: ${id} has already ended`)
        return actions.attach(id)
      case 'c': {
        const why = whyNotCancel(operation)
        if (why !== null) return say(`c: ${why}`)
        const act = () => actions.cancel(id)
        return setQuestion({ text: `cancel ${id} on ${clean(connection.name)}? y/N`, act, no: 'not cancelled' })
      }
      case 'v':
        if (isLook(operation)) return say(`v: ${id} only looked, there is nothing to verify`)
        return report(actions.verify(operation))
      case 'k': {
        if (!needsAcknowledgement(operation)) {
          return say(`k: the outcome of ${id} is not unknown, there is nothing to acknowledge`)
        }
        const act = () => actions.acknowledge(id)
        const text = `acknowledge ${id} and free ${clean(connection.name)}? y/N`
        return setQuestion({ text, act, no: 'not acknowledged' })
      }
    }
  }

  useInput(
    (input, key) => {
      if (key.ctrl && input === 'c') return actions.leave(true)
      if (key.ctrl && input === 'l') return repaint()
      if (key.ctrl && input === 'z') return void suspendTerminal(actions.stop)
      selection.touch()
      if (question) {
        setQuestion(null)
        if (input === 'y') report(question.act())
        else say(question.no)
        return
      }
      if (isTyping) return typeFilter(input, key)
      const size = page === null ? layout.list : layout.page
      if (key.upArrow) move(-1)
      else if (key.downArrow) move(1)
      else if (key.pageUp) move(-size)
      else if (key.pageDown) move(size)
      else if (key.home) move(-Infinity)
      else if (key.end) move(Infinity)
      else if (key.escape && page !== null) turnTo(null)
      else if (key.escape) setFilter('')
      else if (input === '?') turnTo(page?.type === 'help' ? null : { type: 'help' })
      else if (input === 'q') actions.leave(false)
      else if (input === 'p') setPaused(paused === null ? frame : null)
      else if (input.startsWith('/')) {
        turnTo(null)
        setTyping(true)
        typeFilter(input.slice(1), key)
      } else if (key.return && selection.row) turnTo(page?.type === 'details' ? null : { type: 'details' })
      else if (key.return) say('enter: nothing is selected')
      else if (!['l', 'a', 'c', 'v', 'k'].includes(input)) return
      else if (!selection.row) say(`${input}: nothing is selected`)
      // A picture that stands still selects, but what is done is about what is true now.
      else actOn(input, operationOf(frame, selection.row.operation.id) ?? selection.row.operation)
    },
    { isActive: isRawModeSupported },
  )

  const wanted = layout.detail > 3 || page?.type === 'details' ? selection.row?.operation.id : undefined
  useEffect(() => {
    if (wanted !== undefined) actions.wantTranscript(wanted)
  }, [wanted, actions])

  const lines = (): readonly string[] | null => {
    switch (page?.type) {
      case 'help':
        return HELP
      case 'details':
        return selection.row ? detailPage(selection.row, shown, columns, layout.page) : null
      case 'log':
        return log.slice(page.top ?? logEnd).slice(0, layout.page)
      case undefined:
        return null
    }
  }
  const told = notice && notice.until > frame.now ? notice.text : null
  const typed = isTyping && layout.detail > 0 ? `/${filter}_   enter keeps it, escape shows all` : null
  const ways = (): string | null => {
    if (page?.type !== 'log') return page && 'escape back   ? help   q quit'
    if (log.length === 0) return `reading the log of ${page.id}   escape back`
    const from = page.top ?? logEnd
    const to = Math.min(log.length, from + layout.page)
    return `${page.id} lines ${from + 1}-${to} of ${log.length}   up/dn scroll   escape back`
  }
  if (isRepainting) {
    const blanks = Array.from({ length: rows - 1 }, (_, index) => <Line key={index} text={BLANK} />)
    return <Screen {...{ columns, rows }}>{blanks}</Screen>
  }
  return (
    <WatchScreen
      frame={frame}
      shown={shown}
      columns={columns}
      rows={rows}
      header={header()}
      lens={{ missed: paused && frame.changes - paused.changes, filter, hidden: shown.rows.length - left.length }}
      selection={selection}
      page={lines()}
      notice={question?.text ?? typed ?? told ?? (layout.detail > 0 ? ways() : null)}
    />
  )
}

function operationOf({ rows }: WatchFrame, id: string | null): Operation | undefined {
  return rows.find(({ operation }) => operation.id === id)?.operation
}

function matches({ operation, group }: WatchRow, filter: string): boolean {
  const { id, connection, service } = operation
  const text = [id, clean(connection.name), clean(service ?? ''), describe(operation), stateWord(operation), group]
  return text.join('\n').toLowerCase().includes(filter.toLowerCase())
}

/** Null when the daemon may be asked: it decides. */
function whyNotCancel(operation: Operation): string | null {
  const { id, sentAt, connection } = operation
  if (isSettled(operation)) return `${id} has already ended`
  if (!maybeSent(operation)) return null
  const what = describe({ ...operation, service: null })
  if (sentAt === null) return `cannot cancel, the ${what} on ${clean(connection.name)} may have been sent`
  return `cannot cancel, the ${what} was sent at ${clock(sentAt)}`
}
