import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { BoundedMap } from './bounded-map.ts'

describe('BoundedMap', () => {
  it('forgets what was not asked for longest', () => {
    const map = new BoundedMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    expect(map.get('a')).toBe(1)
    map.set('c', 3)
    expect([map.has('a'), map.has('b'), map.has('c')]).toEqual([true, false, true])
  })

  it('does not count `has` as a use, and setting a known key forgets nothing', () => {
    const map = new BoundedMap<string, number>(2)
    map.set('a', 1)
    map.set('b', 2)
    map.set('a', 3)
    expect([map.get('a'), map.get('b'), map.size]).toEqual([3, 2, 2])
  })

  it('behaves like a list of recent keys', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.constantFrom('get', 'set', 'delete'), fc.integer({ min: 0, max: 6 })), {
          maxLength: 60,
        }),
        (steps) => {
          const map = new BoundedMap<number, number>(3)
          let model: number[] = []
          for (const [step, key] of steps) {
            const known = model.includes(key)
            if (step === 'get') expect(map.get(key)).toBe(known ? key : undefined)
            if (step === 'set') map.set(key, key)
            if (step === 'delete') map.delete(key)
            if (step === 'set' || known) model = model.filter((one) => one !== key)
            if (step === 'set' || (step === 'get' && known)) model = [...model, key].slice(-3)
            expect(map.size).toBe(model.length)
          }
          for (const key of model) expect(map.has(key)).toBe(true)
        },
      ),
    )
  })
})
