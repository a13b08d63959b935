import { expect, test } from 'vitest'
import { cut, displayWidth, fit, fold, spread } from '../../src/cli/renderers/width.ts'

test.each([
  ['nginx', 5],
  ['', 0],
  ['日本', 4],
  ['e\u0301', 1],
  ['👩‍👩‍👧', 2],
  ['ｆｕｌｌ', 8],
  ['␛[2J', 4],
])('%j is as wide as a terminal draws it', (text, width) => {
  expect(displayWidth(text)).toBe(width)
})

test.each([
  ['Cisco Finesse Tomcat', 18, 'Cisco Finesse Tom~'],
  ['nginx', 5, 'nginx'],
  ['日本語', 4, '日~'],
  ['日本語', 6, '日本語'],
  ['nginx', 1, '~'],
  ['nginx', 0, ''],
])('%j in %i cells is cut visibly and never half a character', (text, width, expected) => {
  expect(cut(text, width)).toBe(expected)
  expect(displayWidth(cut(text, width))).toBeLessThanOrEqual(width)
})

test('fit gives exactly the width, on either side', () => {
  expect(fit('日本語', 4)).toBe('日~ ')
  expect(fit('71', 5, 'right')).toBe('   71')
})

test('the left end gives way to the right one', () => {
  expect(spread('vosctl watch', 'live', 20)).toBe('vosctl watch    live')
  expect(spread('vosctl watch', 'live', 12)).toBe('vosctl~ live')
})

test.each([
  ['short', ['short']],
  ['A sentence that is longer than the line', ['A sentence that is', '  longer than the', '  line']],
  ['-d  ends', ['-d  ends']],
  ['  with-a-word-that-no-line-holds here', ['  with-a-word-that-no-line-holds', '    here']],
])('%j is folded at spaces', (line, expected) => {
  expect(fold(line, 20)).toEqual(expected)
})

test('what is folded goes on under the text behind the first gap, while that leaves room', () => {
  expect(fold('  -d, --detach  print the operation id and leave', 42)).toEqual([
    '  -d, --detach  print the operation id and',
    '                leave',
  ])
})
