import { describe, expect, it } from 'vitest'
import { EventFilter } from './event-filter.ts'

const MOST = 4_194_304

const renamed = new EventFilter((message) => ({ ...message, seen: true }), MOST, 'every event')

/** What comes out when `text` comes in pieces of so many bytes. */
function passed(filter: EventFilter, text: string, bytes: number): string | undefined {
  const whole = Buffer.from(text)
  const out: Buffer[] = []
  for (let at = 0; at < whole.length; at += bytes) {
    const events = filter.push(whole.subarray(at, at + bytes))
    if (!events) return undefined
    out.push(events)
  }
  return Buffer.concat(out).toString()
}

describe('EventFilter', () => {
  const text = ': hello\r\n\r\nid: 1\r\ndata: {"a":\r\ndata: 1}\r\n\r\ndata: {"é":2}\n\ndata: [1]\r\r'

  it.each([1, 2, 3, 5, 7, 1_000])('changes the same events from pieces of %d bytes', (bytes) => {
    // Lines may end in any way, and do in another where an end is cut in two.
    expect(passed(renamed, text, bytes)?.replaceAll(/\r\n?/g, '\n')).toBe(
      ': hello\n\nid: 1\ndata: {"a":1,"seen":true}\n\ndata: {"é":2,"seen":true}\n\ndata: [1]\n\n',
    )
    expect(renamed.between).toBe(true)
  })

  it('takes an event of 4 MB that drips in without copying it again and again', () => {
    const filter = new EventFilter((message) => message, MOST)
    const event = `data: {"tools":"${'x'.repeat(4_000_000)}"}\n\n`
    const startedAt = performance.now()
    expect(passed(filter, event, 16)).toBe(event)
    // Copied with each piece it would be 500 GB.
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  })

  it('refuses an event that is longer than it may be, at once or bit by bit', () => {
    for (const bytes of [10, 1_000]) {
      const filter = new EventFilter((message) => message, 100)
      expect(passed(filter, `data: ${'x'.repeat(200)}`, bytes)).toBeUndefined()
    }
  })

  it('lets nothing pass that could not be changed', () => {
    const filter = new EventFilter(() => {
      throw new Error('a list that nobody can read')
    }, MOST)
    expect(passed(filter, 'data: {"tools":[]}\n\n', 100)).toBeUndefined()
  })
})
