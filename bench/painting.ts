import { displayWidth } from '../src/cli/renderers/width.ts'

/*
 * A captured screen as an SVG. Every run of text is given the width of its cells, so that columns stand where they stood
 * whatever font the reader has; the background belongs to the picture, so that it reads the same on a light page and on
 * a dark one.
 */
const CELL = { width: 8.4, height: 18 }
const MARGIN = 16
const FONT = 'ui-monospace,SFMono-Regular,Menlo,Consolas,DejaVu Sans Mono,monospace'
const GROUND = '#16181d'
const PLAIN = '#d6d9e0'
/** Black, red, green, yellow, blue, magenta, cyan, white; then the bright ones. */
const COLOURS =
  '#5c6370 #f2777a #8fd08a #e8c064 #7aa8f0 #c79bf2 #6fcbd0 #d6d9e0 #7f8796 #ff9a9c #b0e8ab #ffdf8f #a3c4ff #ddbcff #9be4e8 #ffffff'.split(
    ' ',
  )

interface Style {
  readonly colour: string | null
  readonly bold: boolean
  readonly dim: boolean
  readonly inverse: boolean
}

export interface Run extends Style {
  readonly text: string
  /** In cells from the left. */
  readonly column: number
}

const ORDINARY: Style = { colour: null, bold: false, dim: false, inverse: false }
/** Any escape sequence; only those that end in `m` say how what follows looks. Or a control character. */
const SEQUENCE =
  /\u001b\[([0-9;:?]*)([@-~])|\u001b\][^\u0007\u001b]*(?:\u0007|\u001b\\)|\u001b[ -/]*[0-~]|[\u0000-\u001f\u007f]/g

/** The lines of a screen as `tmux capture-pane -e` prints it. A look lasts until it is changed, over line ends too. */
export function parseScreen(text: string): Run[][] {
  let style = ORDINARY
  return text
    .trimEnd()
    .split('\n')
    .map((line) => {
      const runs: Run[] = []
      let column = 0
      let from = 0
      const take = (to: number) => {
        const piece = line.slice(from, to)
        if (piece !== '') runs.push({ ...style, text: piece, column })
        column += displayWidth(piece)
      }
      for (const match of line.matchAll(SEQUENCE)) {
        take(match.index)
        from = match.index + match[0].length
        if (match[2] === 'm') style = restyle(style, match[1] ?? '')
      }
      take(line.length)
      return runs
    })
}

function restyle(before: Style, parameters: string): Style {
  let style = before
  const codes = parameters.split(/[;:]/).map(Number)
  for (let index = 0; index < codes.length; index++) {
    const code = codes[index] ?? 0
    if (code === 0) style = ORDINARY
    else if (code === 1) style = { ...style, bold: true }
    else if (code === 2) style = { ...style, dim: true }
    else if (code === 7) style = { ...style, inverse: true }
    else if (code === 22) style = { ...style, bold: false, dim: false }
    else if (code === 27) style = { ...style, inverse: false }
    else if (code >= 30 && code <= 37) style = { ...style, colour: COLOURS[code - 30] ?? null }
    else if (code >= 90 && code <= 97) style = { ...style, colour: COLOURS[code - 82] ?? null }
    else if (code === 39) style = { ...style, colour: null }
    else if (code === 38 || code === 48) {
      // One of 256, or three numbers; nothing of ours asks for more than the first sixteen.
      if (code === 38 && codes[index + 1] === 5) style = { ...style, colour: COLOURS[codes[index + 2] ?? -1] ?? null }
      index += codes[index + 1] === 5 ? 2 : 4
    }
  }
  return style
}

/** The screen as an SVG document of `columns` cells; `title` is what a screen reader says. */
export function paint(text: string, { columns, title }: { readonly columns: number; readonly title: string }): string {
  const lines = parseScreen(text)
  const width = Math.ceil(columns * CELL.width + 2 * MARGIN)
  const height = lines.length * CELL.height + 2 * MARGIN
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" role="img">`,
    `<title>${escape(title)}</title>`,
    `<rect width="${width}" height="${height}" rx="8" fill="${GROUND}"/>`,
    `<g font-family="${FONT}" font-size="14" fill="${PLAIN}">`,
    ...lines.flatMap((runs, row) => runs.flatMap(pieces).map((run) => paintRun(run, row))),
    '</g>',
    '</svg>',
    '',
  ].join('\n')
}

/** Each piece between wide gaps has its own place, so that no reader's idea of white space can move it. */
function pieces(run: Run): Run[] {
  if (run.inverse) return [run]
  return [...run.text.matchAll(/\S+(?: \S+)*/g)].map((match) => ({
    ...run,
    text: match[0],
    column: run.column + displayWidth(run.text.slice(0, match.index)),
  }))
}

function paintRun(run: Run, row: number): string {
  const cells = displayWidth(run.text)
  const x = round(MARGIN + run.column * CELL.width)
  const top = MARGIN + row * CELL.height
  const width = round(cells * CELL.width)
  const colour = run.colour ?? (run.inverse ? PLAIN : null)
  const ground = run.inverse
    ? `<rect x="${x}" y="${top}" width="${width}" height="${CELL.height}" fill="${colour}"/>`
    : ''
  const looks = [
    run.inverse ? ` fill="${GROUND}"` : colour === null ? '' : ` fill="${colour}"`,
    run.bold ? ' font-weight="bold"' : '',
    run.dim ? ' opacity="0.6"' : '',
  ].join('')
  const place = `x="${x}" y="${top + 13}" textLength="${width}" lengthAdjust="spacingAndGlyphs"`
  return `${ground}<text ${place}${looks}>${escape(run.text)}</text>`
}

const round = (number: number) => Math.round(number * 10) / 10

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
