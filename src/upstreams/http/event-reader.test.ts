import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { EventReader, EventTooLong, type StreamEvent } from './event-reader.ts'

const readAll = (chunks: readonly (string | Buffer)[], maxBytes = 1_000): StreamEvent[] => {
  const reader = new EventReader(maxBytes)
  return chunks.flatMap((chunk) => reader.push(Buffer.from(chunk)))
}

const message = (data: string): StreamEvent => ({ type: 'message', data })

describe('EventReader', () => {
  it.each([
    ['one line', 'data: a\n\n', [message('a')]],
    ['no space after the colon', 'data:a\n\n', [message('a')]],
    ['only one space is taken off', 'data:  a\n\n', [message(' a')]],
    ['several lines', 'data: a\ndata\ndata: b\n\n', [message('a\n\nb')]],
    ['a name', 'event: endpoint\ndata: /x\n\n', [{ type: 'endpoint', data: '/x' }]],
    ['a name is for one event', 'event: a\ndata: 1\n\ndata: 2\n\n', [{ type: 'a', data: '1' }, message('2')]],
    ['a name without data is none', 'event: a\n\ndata: 1\n\n', [message('1')]],
    ['comments and unknown fields', ': hi\nfoo: bar\ndata: 1\n:\n\n', [message('1')]],
    ['empty data', 'id: 7\ndata:\n\n', [message('')]],
    ['an event without end', 'data: 1\n', []],
    ['carriage returns', 'data: 1\rdata: 2\r\r', [message('1\n2')]],
    ['both', 'data: 1\r\ndata: 2\r\n\r\n', [message('1\n2')]],
    ['a byte order mark', '\uFEFFdata: 1\n\n', [message('1')]],
    ['a byte order mark later', 'x: 1\n\uFEFFdata: 1\n\n', []],
    ['other characters', 'data: Grüße 世界 🚀\n\n', [message('Grüße 世界 🚀')]],
  ])('reads %s', (_name, text, events) => {
    expect(readAll([text])).toEqual(events)
  })

  it('reads the same however the bytes are cut', () => {
    const line = fc.oneof(
      fc.constantFrom('data', 'data: ', ':', 'event: x', 'id: 1', 'retry: 5', ''),
      fc.string({ unit: 'binary', maxLength: 8 }).map((text) => `data: ${text.replace(/[\r\n\0]/g, 'ü')}`),
    )
    fc.assert(
      fc.property(
        fc.array(fc.tuple(line, fc.constantFrom('\n', '\r', '\r\n'))),
        fc.array(fc.nat(200)),
        (lines, cuts) => {
          const bytes = Buffer.from(lines.map(([text, end]) => text + end).join(''))
          const whole = new EventReader(10_000)
          const expected = whole.push(bytes)
          const reader = new EventReader(10_000)
          const at = [0, ...cuts.map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length]
          const events = at.slice(1).flatMap((end, i) => reader.push(bytes.subarray(at[i], end)))
          expect(events).toEqual(expected)
          expect([reader.lastId, reader.retryMs]).toEqual([whole.lastId, whole.retryMs])
        },
      ),
    )
  })

  it('keeps the last id and the time to wait', () => {
    const reader = new EventReader(2_000)
    reader.push(Buffer.from('id: a1\nretry: 250\ndata: x\n\ndata: y\n\n'))
    expect([reader.lastId, reader.retryMs]).toEqual(['a1', 250])
    reader.push(Buffer.from(`id: a\0b\nid: ü\nid: ${'x'.repeat(1_025)}\nretry: 1e3\nretry: -1\ndata: z\n\n`))
    expect([reader.lastId, reader.retryMs]).toEqual(['a1', 250])
    reader.push(Buffer.from('id\nretry: 999999999\n\n'))
    expect([reader.lastId, reader.retryMs]).toEqual(['', 3_600_000])
  })

  it.each([
    ['one long line', ['data: ', 'x'.repeat(990), 'x'.repeat(10)]],
    ['a long comment', [`:${'x'.repeat(1_000)}`]],
    ['many lines', Array.from({ length: 201 }, () => 'data\n')],
    ['a line that never ends, byte by byte', Array.from({ length: 1_001 }, () => 'x')],
  ])('refuses %s', (_name, chunks) => {
    expect(() => readAll(chunks)).toThrow(EventTooLong)
  })

  it('takes events of the largest size, one after the other', () => {
    const text = `data: ${'x'.repeat(990)}\n\n`
    expect(readAll([text, text, text]).length).toBe(3)
  })
})
