import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { formatArrayText, parseArrayText } from './array-text.ts'

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null)
const same = (value: string): string => value

test('what is written is read again, nested, empty and with NULL', () => {
  const element = fc.oneof(
    fc.string({ unit: 'grapheme' }),
    fc.constantFrom('NULL', 'null', '{}', ',', '\\', '"', ''),
    fc.constant(null),
  )
  const { list } = fc.letrec<{ list: unknown[] }>((tie) => ({
    list: fc.oneof(
      { depthSize: 'small' },
      fc.array(element, { maxLength: 5 }),
      fc.array(tie('list'), { maxLength: 3 }),
    ),
  }))
  fc.assert(
    fc.property(list, (values) => {
      expect(parseArrayText(formatArrayText(values, text), same)).toEqual(values)
    }),
  )
})

test.each([
  ['{}', []],
  ['{1,NULL,3}', ['1', null, '3']],
  ['[0:1]={a,b}', ['a', 'b']],
  [
    '{{1,2},{3,4}}',
    [
      ['1', '2'],
      ['3', '4'],
    ],
  ],
  ['{"NULL",""}', ['NULL', '']],
])('reads %s', (source, values) => {
  expect(parseArrayText(source, same)).toEqual(values)
})

test.each(['', '{', '{1', '{1}}', 'x', '{1}x', '{{1}', '[0:1]'])('%j is no array', (source) => {
  expect(parseArrayText(source, same)).toBeNull()
})
