import { array, assert, constant, nat, oneof, property } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { Bag } from './bag.ts'

describe('Bag', () => {
  it('holds what a set would hold, whatever comes and goes', () => {
    assert(
      property(array(oneof(constant('add' as const), nat({ max: 50 }))), (steps) => {
        const bag = new Bag<number>()
        const places = new Map<number, number>()
        let count = 0
        for (const step of steps) {
          if (step === 'add') {
            places.set(count, bag.add(count))
            count += 1
          } else {
            const [item, place] = [...places][step % Math.max(1, places.size)] ?? []
            if (item === undefined || place === undefined) continue
            bag.remove(place)
            places.delete(item)
          }
          expect(bag.size).toBe(places.size)
        }
        expect(new Set(bag)).toEqual(new Set(places.keys()))
      }),
    )
  })

  it('reuses places, so that its memory follows what it holds at most', () => {
    const bag = new Bag<object>()
    const seen = new Set<number>()
    for (let round = 0; round < 1_000; round += 1) {
      const place = bag.add({})
      seen.add(place)
      bag.remove(place)
    }
    expect(seen.size).toBe(1)
    expect([...bag]).toEqual([])
  })

  it('does not lose a later item when a place is given back twice', () => {
    const bag = new Bag<string>()
    const place = bag.add('a')
    bag.remove(place)
    bag.remove(place)
    bag.add('b')
    bag.add('c')
    expect(new Set(bag)).toEqual(new Set(['b', 'c']))
  })

  it('may be emptied while it is walked', () => {
    const bag = new Bag<number>()
    const places = [1, 2, 3].map((item) => bag.add(item))
    const seen: number[] = []
    for (const item of bag) {
      seen.push(item)
      for (const place of places) bag.remove(place)
    }
    expect(seen).toEqual([1])
  })
})
