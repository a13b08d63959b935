import { displayWidth, fit } from './renderers/width.ts'

/** The narrowest that a column becomes which gives way. */
const NARROWEST = 12

/**
 * Columns as wide as their widest cell, two spaces apart. Rows of plain, already cleaned text. Where a terminal of
 * `columns` has too little room the column `gives` is cut, as far as that helps.
 */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  { gives, columns }: { readonly gives?: string; readonly columns: number } = { columns: Number.POSITIVE_INFINITY },
): string[] {
  const widths = head.map((title, column) =>
    Math.max(displayWidth(title), ...rows.map((row) => displayWidth(row[column] ?? ''))),
  )
  const over = widths.reduce((sum, width) => sum + width + 2, -2) - (columns - 1)
  const giving = gives === undefined ? -1 : head.indexOf(gives)
  const wide = widths[giving]
  if (wide !== undefined && over > 0) widths[giving] = Math.min(wide, Math.max(NARROWEST, wide - over))
  return [head, ...rows].map((row) =>
    row
      .map((cell, column) => fit(cell, widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
}

/** Names on the left, values beside them. */
export function fields(rows: readonly (readonly [string, string])[]): string[] {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`.trimEnd())
}
