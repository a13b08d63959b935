import { randomInt } from 'node:crypto'
import { ID_LETTER, type OperationType } from '../core/operation.ts'

/** Lower-case base32 without i, l, o and u: safe to read aloud. */
const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz'

export function createOperationId(type: OperationType): string {
  return `${ID_LETTER[type]}-${random(6)}`
}

export function createBatchId(): string {
  return `b-${random(6)}`
}

function random(length: number): string {
  return Array.from({ length }, () => ALPHABET[randomInt(ALPHABET.length)]).join('')
}
