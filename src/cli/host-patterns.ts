/** Do ssh's patterns name this host? One with a `!` excludes, whatever the others say. */
export function isNamed(alias: string, patterns: readonly string[]): boolean {
  if (!patterns.some((pattern) => isLike(alias, pattern))) return false
  return !patterns.some((pattern) => pattern.startsWith('!') && isLike(alias, pattern.slice(1)))
}

/** `*` and `?`. No regular expression: of many stars it would try every combination. */
function isLike(text: string, pattern: string): boolean {
  let [at, star, from] = [0, -1, 0]
  for (let index = 0; index < text.length;) {
    if (pattern[at] === '*') {
      star = at++
      from = index
    } else if (pattern[at] === '?' || pattern[at] === text[index]) {
      at++
      index++
    } else if (star !== -1) {
      at = star + 1
      index = ++from
    } else return false
  }
  return /^\**$/.test(pattern.slice(at))
}
