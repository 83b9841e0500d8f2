import { describe, expect, it } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import { Deadlines, type Due } from './deadlines.ts'

const LIMIT_MS = 1_000

function stage() {
  const clock = manualClock()
  const deadlines = new Deadlines(clock, LIMIT_MS)
  const expired: string[] = []
  const add = (name: string, more: () => void = () => undefined) => {
    const due: Due = {
      dueAt: 0,
      expire() {
        deadlines.remove(place)
        expired.push(name)
        more()
      },
    }
    const place = deadlines.add(due)
    return { due, remove: () => deadlines.remove(place) }
  }
  return { clock, expired, add }
}

describe('deadlines with one timer', () => {
  it('expire when their time is over and not before, each by itself', () => {
    const { clock, expired, add } = stage()
    add('first')
    clock.advance(400)
    add('second')
    expect(clock.waiting).toBe(1)
    clock.advance(599)
    expect(expired).toEqual([])
    clock.advance(1)
    expect(expired).toEqual(['first'])
    clock.advance(399)
    expect(expired).toEqual(['first'])
    clock.advance(1)
    expect(expired).toEqual(['first', 'second'])
    expect(clock.waiting).toBe(0)
  })

  it('leave alone what was removed, or has no limit any more', () => {
    const { clock, expired, add } = stage()
    add('removed').remove()
    const { due } = add('unlimited')
    due.dueAt = Number.POSITIVE_INFINITY
    clock.advance(10 * LIMIT_MS)
    expect([expired, clock.waiting]).toEqual([[], 0])
    add('next')
    clock.advance(LIMIT_MS)
    expect(expired).toEqual(['next'])
  })

  it('are kept in time when one that expires begins another', () => {
    const { clock, expired, add } = stage()
    add('first', () => void add('again'))
    clock.advance(10)
    add('second')
    clock.advance(1_000)
    expect(expired).toEqual(['first', 'second'])
    clock.advance(990)
    expect(expired).toEqual(['first', 'second', 'again'])
  })
})
