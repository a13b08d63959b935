import { oneLine } from './text.ts'

const MASK = '[password]'

/** Also what is left of one that was cut. */
const TOKEN = /vosctl_[\w-]{20,43}/g

/** Of a text that was cut off in the middle of a secret, so much of its beginning is enough to be taken out. */
const MIN_START = 4

/**
 * What is said about the house itself is never a secret, though it may read like one; and names decide what is done: a
 * password that is part of one must not rename it.
 */
const OURS = new Set(
  (
    'id at seq cursor type status phase effect code operationType device what state lastState name service started ' +
    'command method username createdBy by'
  ).split(' '),
)

/** The secrets that are in use in this process, as they may be written, and how often each is in use. */
const inUse = new Map<string, { readonly forms: readonly string[]; uses: number }>()

/** All of these forms: one secret may be the beginning of another, whose rest would stay. */
let longestFirst: readonly string[] = []

function sortForms(): void {
  longestFirst = [...inUse.values()].flatMap(({ forms }) => forms).toSorted((a, b) => b.length - a.length)
}

/**
 * From now on {@link masked} takes this secret out of every text. A short word of letters stays: to black it out where it
 * stands by chance would only say what it is.
 * @returns ends it
 */
export function conceal(secret: string): () => void {
  if (secret.length < 4 || (secret.length < 8 && /^[A-Za-z]*$/.test(secret))) return () => {}
  const entry = inUse.get(secret) ?? { forms: formsOf(secret), uses: 0 }
  if (entry.uses++ === 0) {
    inUse.set(secret, entry)
    sortForms()
  }
  let isOver = false
  return () => {
    if (isOver) return
    isOver = true
    if (--entry.uses > 0) return
    inUse.delete(secret)
    sortForms()
  }
}

/** The text without the secrets that are in use, and without any token of the network door, which tells itself by its form. */
export function masked(text: string): string {
  if (text.includes('vosctl_')) text = text.replace(TOKEN, '[token]')
  for (const form of longestFirst) text = withoutStart(text.replaceAll(form, MASK), form)
  return text
}

/** Every text in a value that is made of objects and arrays, but for what the house itself says in it. */
export function maskedIn<Value>(value: Value): Value {
  return mask(value) as Value
}

function mask(value: unknown): unknown {
  if (typeof value === 'string') return masked(value)
  if (Array.isArray(value)) return value.map(mask)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, OURS.has(key) ? inner : mask(inner)]))
}

/** As it is, as our own texts show it, and as it stands in JSON and in an address. */
function formsOf(secret: string): string[] {
  const forms = [
    secret,
    oneLine(secret, 4096),
    JSON.stringify(secret).slice(1, -1),
    encodeURIComponent(secret.toWellFormed()),
  ]
  return [...new Set(forms)].filter((form) => form.length >= MIN_START)
}

/** A text that was cut (`…`) may end in the first half of a secret. */
function withoutStart(text: string, form: string): string {
  if (!text.includes('…')) return text
  for (let length = form.length - 1; length >= MIN_START; length--) {
    text = text.replaceAll(`${form.slice(0, length)}…`, `${MASK}…`)
  }
  return text
}
