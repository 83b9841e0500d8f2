import { expect, it } from 'vitest'
import { BoundedMemory } from './bounded-memory.ts'

it('forgets the least recently used beyond its number', () => {
  const memory = new BoundedMemory<number>(2, 1_000)
  memory.set('a', 1)
  memory.set('b', 2)
  expect(memory.get('a')).toBe(1)
  memory.set('c', 3)
  expect(memory.get('b')).toBeUndefined()
  expect([memory.get('a'), memory.get('c'), memory.size]).toEqual([1, 3, 2])
})

it('forgets beyond its characters, and does not take what is long on its own', () => {
  const memory = new BoundedMemory<number>(1_000, 100)
  for (let index = 0; index < 50; index++) memory.set(`key-${String(index).padStart(5, '0')}`, index)
  expect(memory.size).toBe(11)
  memory.set('x'.repeat(50), 1)
  expect(memory.get('x'.repeat(50))).toBeUndefined()
  expect(memory.size).toBe(11)
  memory.set('key-00049', 7)
  expect([memory.get('key-00049'), memory.size]).toEqual([7, 11])
})
