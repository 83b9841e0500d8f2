import { array, assert, integer, nat, property, record, string } from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { UnlinkedEntry } from './chain.ts'
import { EntryPages, entriesOf } from './entry-pages.ts'

const drain = (pages: EntryPages): UnlinkedEntry[][] => {
  const drained: UnlinkedEntry[][] = []
  for (let page = pages.first(); page; page = pages.first()) {
    drained.push([...entriesOf(page)])
    pages.removeFirst()
  }
  return drained
}

describe('EntryPages', () => {
  it('gives back every entry in order, whatever text is inside', () => {
    const entry = record({
      at: nat(),
      entry: string({ unit: 'grapheme' }).map((text) => JSON.stringify({ text })),
    })
    assert(
      property(array(entry), integer({ min: 1, max: 5 }), (entries, perPage) => {
        const pages = new EntryPages(perPage)
        for (const one of entries) pages.push(one)
        expect(pages.count).toBe(entries.length)
        expect(drain(pages).flat()).toEqual(entries)
        expect(pages.count).toBe(0)
      }),
    )
  })

  it('keeps what comes while a page is being written apart from that page', () => {
    const pages = new EntryPages(10)
    pages.push({ at: 1, entry: '"a"' })
    const page = pages.first()
    pages.push({ at: 2, entry: '"b"' })
    expect(page?.count).toBe(1)
    pages.removeFirst()
    expect(drain(pages)).toEqual([[{ at: 2, entry: '"b"' }]])
  })

  it('fills a used page again without mixing old bytes in', () => {
    const pages = new EntryPages(10)
    for (let round = 0; round < 5; round += 1) {
      const entries = Array.from({ length: 7 }, (_, index) => ({
        at: round,
        entry: `"${'x'.repeat(index * round)}"`,
      }))
      for (const one of entries) pages.push(one)
      expect(drain(pages)).toEqual([entries])
    }
  })

  it('takes an entry longer than a page', () => {
    const long = { at: 1, entry: JSON.stringify('é'.repeat(600_000)) }
    const pages = new EntryPages(10)
    pages.push({ at: 0, entry: '1' })
    pages.push(long)
    pages.push({ at: 2, entry: '2' })
    expect(drain(pages).flat()).toEqual([{ at: 0, entry: '1' }, long, { at: 2, entry: '2' }])
  })
})
