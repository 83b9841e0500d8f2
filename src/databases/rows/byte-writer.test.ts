import { expect, it } from 'vitest'
import { ByteWriter } from './byte-writer.ts'

const CHUNK = 64 * 1024

it('uses the room of pieces that were given back, and never that of others', () => {
  const lent: { bytes: Buffer; done: () => void; copy: string }[] = []
  const rooms = new Set<ArrayBufferLike>()
  const writer = new ByteWriter((bytes, done) => {
    rooms.add(bytes.buffer)
    lent.push({ bytes, done, copy: bytes.toString('latin1') })
  })
  for (let index = 0; index < 2_000; index += 1) {
    writer.bytes(Buffer.from(`${index};`.repeat(200)))
    if (index % 3 === 0) writer.flush()
    // The reader is some pieces behind, and gives them back out of turn.
    if (lent.length > 20) {
      const [first] = lent.splice(index % 5, 1)
      expect(first?.bytes.toString('latin1') === first?.copy).toBe(true)
      first?.done()
    }
  }
  writer.flush()
  for (const { bytes, copy } of lent) expect(bytes.toString('latin1') === copy).toBe(true)
  expect(rooms.size).toBeGreaterThan(2)
  expect(rooms.size).toBeLessThan(20)
})

it('makes room of any size, and delivers nothing twice', () => {
  const pieces: string[] = []
  const writer = new ByteWriter((bytes) => pieces.push(bytes.toString('latin1')))
  const long = 'x'.repeat(3 * CHUNK)
  writer.text('a')
  writer.flush()
  writer.flush()
  writer.text(long)
  writer.text('z')
  writer.flush()
  expect(pieces.join('')).toBe(`a${long}z`)
  expect(pieces).not.toContain('')
})
