import type { Prompt } from 'ssh2'
import { oneLine } from '../../core/text.ts'

/** A password question is short: in a longer text the word may mean anything. */
const MAX_QUESTION = 200

const PASSWORD = /\bpassword\b/i
const CHANGE = /\b(?:new|chang\w*|expired?|current|old|retype|re-enter|again|confirm|update)\b/i
/** In a title or an instruction only whole phrases count: a site's notice may hold any of the words. */
const CHANGE_NOTICE =
  /\bpassword (?:has |is |was )?expired\b|\bexpired password\b|\bpassword must be changed\b|\bto change (?:your|the) password\b|\bchange your password\b/i
/** A second factor often asks for "a password" too: a one-time one, a token's, the answer to a challenge. */
const FACTOR =
  /\bone[\s-]?time\b|\b[th]?otp\b|\botp-|s\/key|\b(?:2fa|mfa|pin|securid|duo|yubi\w*|authenticator|challenge|response|\w*factor|\w*tokens?|\w*codes?|dynamic|next|second)\b/i
const FACTOR_NOTICE =
  /\bone[\s-]?time password\b|\b[th]?otp\b|\bpasscode\b|\b(?:verification|token|security) ?code\b|\byour (?:hardware |software )?token\b/i

/** The whole question in other languages: what Linux-PAM's own translations make of "Password:", and nothing else. */
const TRANSLATED = new Set(
  `adgangskode|contraseña|contrasenya|contrasigno|focal faire|hasło|heslo|iphasiwedi|jelszó|lösenord|lozinka|mật khẩu|mot de passe
  |palavra-passe|parola|parolă|parool|pasahitza|passord|passwort|pasvorto|salasana|sandi|senha|şifrə|wachtwoord|лозинка
  |парола|пароль|ססמה|كلمة السر|गुप्तशब्द|शब्दकूट|গুপ্তশব্দ|পাসওয়ার্ড|ਪਾਸਵਰਡ|પાસવર્ડ|ପ୍ରବେଶ ସଙ୍କେତ|கடவுச்சொல்|సంకేతపదము|ಗುಪ್ತಪದ|അടയാളവാക്ക്
  |රහස්පදය|პაროლი|ពាក្យសម្ងាត់|パスワード|密码|密碼|암호`
    .normalize()
    .split(/\s*\|/),
)

export interface Round {
  /** Is this the very first thing that the server asks, rounds without a question included? */
  readonly isFirst: boolean
  /** Has the password been given in this attempt? */
  readonly isAnswered: boolean
}

/**
 * What to do with one round of keyboard-interactive questions. Only a first round of exactly one hidden password prompt is
 * answered: any other answer would hand the password to a question that we do not understand, or change it.
 */
export function judgeRound(
  { isFirst, isAnswered }: Round,
  notices: readonly string[],
  prompts: readonly Prompt[],
): 'answer' | 'expired' | 'refused' | 'unknown' {
  const texts = prompts.map(({ prompt }) => withoutLogin(prompt))
  const about = notices.map((notice) => oneLine(notice, 1000))
  if (texts.some((text) => CHANGE.test(text)) || about.some((notice) => CHANGE_NOTICE.test(notice))) return 'expired'
  const [only] = prompts
  const isPlain = prompts.length === 1 && only?.echo === false && isPasswordPrompt(only.prompt)
  if (!isPlain || about.some((notice) => FACTOR_NOTICE.test(notice))) return 'unknown'
  if (isFirst) return 'answer'
  // The same question again is how some servers say that the password was wrong.
  return isAnswered ? 'refused' : 'unknown'
}

function isPasswordPrompt(prompt: string): boolean {
  // Whoever hides something in the question gets no answer. An escape sequence hides nothing: it is shown as a mark.
  if (prompt.length > MAX_QUESTION || /[^\P{C}\r\n\t\x1b\x07]/u.test(prompt)) return false
  const text = withoutLogin(prompt)
  if (FACTOR.test(text)) return false
  return (
    PASSWORD.test(text) ||
    TRANSLATED.has(
      text
        .replace(/\s*[:：៖]$/, '')
        .toLowerCase()
        .normalize(),
    )
  )
}

/** Names of users and hosts (`duo@pin-1's password:`) say nothing about the question. */
function withoutLogin(prompt: string): string {
  return oneLine(prompt, 1000)
    .replace(/\S+@\S+/g, ' ')
    .trim()
}
