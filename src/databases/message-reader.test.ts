import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { MessageReader } from './message-reader.ts'

const frame = (type: number, body: Buffer): Buffer => {
  const head = Buffer.alloc(5)
  head[0] = type
  head.writeUInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

const SKIPPED = 0x4e

test('messages come out whole, however the bytes were cut', () => {
  const message = fc.record({
    type: fc.constantFrom(0x44, 0x43, SKIPPED, 0x5a),
    body: fc.uint8Array({ maxLength: 40 }),
  })
  const cuts = fc.array(fc.integer({ min: 1, max: 17 }), { minLength: 1 })
  fc.assert(
    fc.property(fc.array(message, { maxLength: 12 }), cuts, (messages, cuts) => {
      const seen: [number, string][] = []
      const reader = new MessageReader({
        header: (type) => (type === SKIPPED ? 'skip' : 'take'),
        message: (type, bytes, start, end) => seen.push([type, bytes.toString('hex', start, end)]),
      })
      const stream = Buffer.concat(messages.map(({ type, body }) => frame(type, Buffer.from(body))))
      for (let at = 0, cut = 0; at < stream.length; cut += 1) {
        const size = cuts[cut % cuts.length] ?? 1
        reader.push(Buffer.from(stream.subarray(at, at + size)))
        at += size
      }
      const taken = messages.filter(({ type }) => type !== SKIPPED)
      expect(seen).toEqual(taken.map(({ type, body }) => [type, Buffer.from(body).toString('hex')]))
    }),
  )
})

test('a message that is not wanted is never collected, and nothing is read after a stop', () => {
  const seen: number[] = []
  const reader = new MessageReader({
    header: (_type, length) => (length > 1_000 ? 'stop' : 'take'),
    message: (type) => seen.push(type),
  })
  reader.push(
    Buffer.concat([frame(1, Buffer.alloc(10)), frame(2, Buffer.alloc(2_000)), frame(3, Buffer.alloc(1))]),
  )
  reader.push(frame(4, Buffer.alloc(1)))
  expect(seen).toEqual([1])
})

test('a length that cannot be stops the reader', () => {
  const reader = new MessageReader({
    header: () => 'take',
    message: () => {
      throw new Error('there is no message')
    },
  })
  reader.push(Buffer.from([0x44, 0, 0, 0, 3, 0, 0]))
})
