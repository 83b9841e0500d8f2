import { describe, expect, it } from 'vitest'
import { NumberedBag } from './numbered-bag.ts'

const item = (name: string) => ({ name, number: 0 })

describe('a bag with numbers', () => {
  it('finds what is there by its number, and nothing by any other', () => {
    const bag = new NumberedBag<ReturnType<typeof item>>()
    const [one, two] = [item('one'), item('two')]
    bag.add(one)
    bag.add(two)
    expect(bag.find(one.number)).toBe(one)
    expect(bag.find(two.number)).toBe(two)
    for (const other of [0, 1, -1, 0.5, Number.NaN, one.number + 65_536, String(one.number), undefined])
      expect(bag.find(other)).toBeUndefined()
  })

  it('gives a place to the next, but not its number', () => {
    const bag = new NumberedBag<ReturnType<typeof item>>()
    const [before, after] = [item('before'), item('after')]
    bag.add(before)
    const { number } = before
    expect(bag.remove(before)).toBe(true)
    bag.add(after)
    expect(bag.find(number)).toBeUndefined()
    expect(after.number).toBeGreaterThan(number)
    expect(bag.remove(before)).toBe(false)
    expect([...bag]).toEqual([after])
    expect(bag.size).toBe(1)
  })

  it('knows the last that fits, whatever place it has', () => {
    const bag = new NumberedBag<ReturnType<typeof item>>()
    const items = ['a', 'b', 'c'].map(item)
    for (const one of items) bag.add(one)
    bag.remove(items[0] as (typeof items)[number])
    const last = item('d')
    bag.add(last)
    expect(bag.latest(() => true)).toBe(last)
    expect(bag.latest(({ name }) => name < 'd')?.name).toBe('c')
    expect(bag.latest(() => false)).toBeUndefined()
  })
})
