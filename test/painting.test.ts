import { expect, test } from 'vitest'
import { paint, parseScreen } from '../bench/painting.ts'

/** The pictures of the README are painted from what tmux captures. */

const texts = (screen: string) => parseScreen(screen).map((runs) => runs.map(({ text }) => text).join(''))

test('a look begins where its sequence stands and lasts until it is changed, over line ends too', () => {
  const [first, second] = parseScreen('a\u001b[1m\u001b[31mbc\nd\u001b[0me\n')
  expect(first).toMatchObject([
    { text: 'a', column: 0, colour: null, bold: false },
    { text: 'bc', column: 1, colour: '#f2777a', bold: true },
  ])
  expect(second).toMatchObject([
    { text: 'd', column: 0, colour: '#f2777a', bold: true },
    { text: 'e', column: 1, colour: null, bold: false },
  ])
})

test.each([
  ['several at once', '\u001b[2;33mx', { dim: true, colour: '#e8c064' }],
  ['the bright ones', '\u001b[92mx', { colour: '#b0e8ab' }],
  ['one of 256', '\u001b[38;5;1mx', { colour: '#f2777a' }],
  ['a ground of 256 is no look of the text', '\u001b[48;5;1mx', { colour: null, bold: false }],
  ['no parameter means none of all', '\u001b[1m\u001b[mx', { bold: false }],
  ['neither bold nor dim', '\u001b[1;2;31m\u001b[22mx', { bold: false, dim: false, colour: '#f2777a' }],
  ['the ordinary colour', '\u001b[31m\u001b[39mx', { colour: null }],
  ['inverse', '\u001b[7mx', { inverse: true }],
])('%s: %j', (_, screen, look) => {
  expect(parseScreen(screen)[0]).toMatchObject([look])
})

test('other sequences and control characters leave nothing behind, and move nothing', () => {
  expect(texts('a\u001b[2Kb\u001b]8;;http://x\u001b\\c\u001b]0;title\u0007d\u001b(Be\u000ef\u000f\n')).toEqual([
    'abcdef',
  ])
})

test('what follows a wide character stands two cells further', () => {
  expect(parseScreen('漢\u001b[1mx')[0]?.[1]).toMatchObject({ text: 'x', column: 2 })
})

test('text cannot become markup', () => {
  const svg = paint('<script>&"</script>', { columns: 80, title: 'a <b> & c' })
  expect(svg).toContain('&lt;script&gt;&amp;"&lt;/script&gt;</text>')
  expect(svg).toContain('<title>a &lt;b&gt; &amp; c</title>')
  expect(svg).not.toContain('<script')
})

test('every piece between wide gaps has its own place and width, and each line its height', () => {
  const svg = paint('ab   c d\n\n   \u001b[7mx\u001b[0m\n\n', { columns: 10, title: 't' })
  expect(svg).toContain('<text x="16" y="29" textLength="16.8" lengthAdjust="spacingAndGlyphs">ab</text>')
  expect(svg).toContain('<text x="58" y="29" textLength="25.2" lengthAdjust="spacingAndGlyphs">c d</text>')
  expect(svg).toContain('<rect x="41.2" y="52" width="8.4" height="18" fill="#d6d9e0"/>')
  expect(svg).toContain('viewBox="0 0 116 86"')
})
