import { expect, it } from 'vitest'
import { mergeLists } from './merge-lists.ts'
import { Names } from './names.ts'

const named = (...servers: string[]): Names => new Names('__', () => servers)

it('reads a name as it was written, also where names of servers begin alike', () => {
  const names = named('a', 'a__b', 'ab')
  expect(names.split('a__c')).toEqual({ server: 'a', name: 'c' })
  expect(names.split('a__b__c')).toEqual({ server: 'a__b', name: 'c' })
  expect(names.split('ab____c')).toEqual({ server: 'ab', name: '__c' })
  for (const none of ['a', 'a__', 'b__c', '', '__c', 'A__c']) expect(names.split(none)).toBeUndefined()
})

it('offers no name that would be read as something else, whatever order servers have', () => {
  for (const names of [named('a', 'a__b'), named('a__b', 'a')]) {
    expect(names.offer({ server: 'a', name: 'b__c' })).toEqual({ problem: 'name_taken' })
    expect(names.offer({ server: 'a__b', name: 'c' })).toEqual({ name: 'a__b__c' })
  }
})

it('offers names of up to 128 characters, and says what it had to leave out', () => {
  const names = named('wiki')
  const tools = ['x'.repeat(122), 'y'.repeat(123)].map((name) => ({ name }))
  const { items, leftOut } = mergeLists('tools/list', [{ server: 'wiki', items: tools }], names)
  expect(items.map(({ item }) => item['name'])).toEqual([`wiki__${'x'.repeat(122)}`])
  expect(leftOut).toMatchObject([{ server: 'wiki', name: 'y'.repeat(123), code: 'name_too_long' }])
})

it('never lets a server stand in for a tool of its own', () => {
  const names = named('wiki')
  const list = mergeLists(
    'tools/list',
    [
      { server: '', items: [{ name: 'wiki__search', title: 'own' }] },
      { server: 'wiki', items: [{ name: 'search', title: 'theirs' }, { name: 'search' }, { title: 'none' }] },
    ],
    names,
  )
  expect(list.items.map(({ item }) => item)).toEqual([{ name: 'wiki__search', title: 'own' }])
})
