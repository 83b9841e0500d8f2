import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import { Expiries } from './expiries.ts'

const DAY = 86_400_000

describe('Expiries', () => {
  it('calls back at the moment, not before', () => {
    const clock = manualClock()
    const ended: string[] = []
    const expiries = new Expiries(clock, (id) => ended.push(id))
    const start = clock.now()
    expiries.set('a', start + 40 * DAY)
    expiries.set('b', start + 1_000)
    clock.advance(999)
    expect(ended).toEqual([])
    clock.advance(1)
    expect(ended).toEqual(['b'])
    clock.advance(40 * DAY - 1_001)
    expect(ended).toEqual(['b'])
    clock.advance(1)
    expect(ended).toEqual(['b', 'a'])
  })

  it('follows a changed time, forgets, and takes null for never', () => {
    const clock = manualClock()
    const ended: string[] = []
    const expiries = new Expiries(clock, (id) => ended.push(id))
    const at = (ms: number): number => clock.now() + ms
    expiries.set('sooner', at(5_000))
    expiries.set('sooner', at(1_000))
    expiries.set('later', at(1_000))
    expiries.set('later', at(5_000))
    expiries.set('gone', at(1_000))
    expiries.forget('gone')
    expiries.set('never', at(1_000))
    expiries.set('never', null)
    clock.advance(1_000)
    expect(ended).toEqual(['sooner'])
    clock.advance(4_000)
    expect(ended).toEqual(['sooner', 'later'])
  })

  it('holds one timer for all, and none after closing', () => {
    const clock = manualClock()
    const expiries = new Expiries(clock, () => {})
    for (let i = 0; i < 1_000; i += 1) expiries.set(`t${i}`, clock.now() + 1_000 + i)
    expect(clock.waiting).toBe(1)
    expiries.close()
    expect(clock.waiting).toBe(0)
  })

  it('ends each exactly once and in time, whatever the order and the changes', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.record({
            id: fc.integer({ min: 0, max: 20 }),
            at: fc.option(fc.integer({ min: 0, max: 300 }), { nil: null }),
          }),
          { maxLength: 300 },
        ),
        (sets) => {
          const clock = manualClock(0)
          const ended = new Map<string, number>()
          const expiries = new Expiries(clock, (id) => {
            expect(ended.has(id)).toBe(false)
            ended.set(id, clock.now())
          })
          const last = new Map<string, number | null>()
          for (const { id, at } of sets) {
            expiries.set(String(id), at)
            last.set(String(id), at)
          }
          clock.advance(1_000)
          for (const [id, at] of last) expect(ended.get(id)).toBe(at ?? undefined)
        },
      ),
    )
  })
})
