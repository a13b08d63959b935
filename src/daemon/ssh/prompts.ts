import type { Prompt } from 'ssh2'
import { oneLine } from '../../core/text.ts'

const PASSWORD = /\bpassword\b/i
const CHANGE = /\b(?:new|chang\w*|expired?|current|old|retype|re-enter|again|confirm|update)\b/i
/** In a title or an instruction only whole phrases count: a site's notice may hold any of the words. */
const CHANGE_NOTICE =
  /\bpassword (?:has |is |was )?expired\b|\bexpired password\b|\bpassword must be changed\b|\bto change (?:your|the) password\b|\bchange your password\b/i

/**
 * What to do with one round of keyboard-interactive questions. Only a first round of exactly one hidden password prompt is
 * answered: any other answer would hand the password to a question that we do not understand, or change it.
 */
export function judgeRound(
  round: number,
  notices: readonly string[],
  prompts: readonly Prompt[],
): 'answer' | 'expired' | 'refused' | 'unknown' {
  const texts = prompts.map(({ prompt }) => oneLine(prompt))
  if (texts.some((text) => CHANGE.test(text)) || notices.some((notice) => CHANGE_NOTICE.test(oneLine(notice, 1000)))) {
    return 'expired'
  }
  const [only] = prompts
  const isPlain = prompts.length === 1 && only?.echo === false && PASSWORD.test(texts[0] ?? '')
  if (!isPlain) return 'unknown'
  // The same question again is how some servers say that the password was wrong.
  return round === 1 ? 'answer' : 'refused'
}
