import { expect, it } from 'vitest'
import { weight } from './weight.ts'

it('is about the length of the JSON text', () => {
  for (const value of [
    { name: 'x'.repeat(10_000), list: ['y'.repeat(10_000), { deep: 'z'.repeat(10_000) }] },
    'x'.repeat(5_000),
    Array.from({ length: 1_000 }, (_, n) => ({ name: `tool-${n}`, description: 'what it does' })),
  ]) {
    const length = JSON.stringify(value).length
    expect(weight(value)).toBeGreaterThan(length * 0.8)
    expect(weight(value)).toBeLessThan(length * 1.5)
  }
})

it('bears any depth, and stops when there is enough', () => {
  let deep: unknown = 1
  for (let n = 0; n < 200_000; n += 1) deep = [deep]
  expect(weight(deep)).toBeGreaterThan(200_000)
  expect(weight(deep, 1_000)).toBeLessThan(1_100)
})
