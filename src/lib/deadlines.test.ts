import { describe, expect, it } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import { Deadlines, type Due } from './deadlines.ts'

class Watched implements Due {
  dueAt = 0
  expired = 0
  readonly #place: number
  readonly #deadlines: Deadlines

  constructor(deadlines: Deadlines) {
    this.#deadlines = deadlines
    this.#place = deadlines.add(this)
  }

  expire(): void {
    this.expired += 1
    this.done()
  }

  done(): void {
    this.#deadlines.remove(this.#place)
  }
}

describe('one timer for all deadlines', () => {
  it('tells each when its own time is over, once', () => {
    const clock = manualClock()
    const deadlines = new Deadlines(clock, 1_000)
    const early = new Watched(deadlines)
    clock.advance(600)
    const late = new Watched(deadlines)
    expect(clock.waiting).toBe(1)
    clock.advance(500)
    expect([early.expired, late.expired]).toEqual([1, 0])
    clock.advance(499)
    expect(late.expired).toBe(0)
    clock.advance(1)
    expect([early.expired, late.expired]).toEqual([1, 1])
    clock.advance(10_000)
    expect([early.expired, late.expired]).toEqual([1, 1])
    expect(clock.waiting).toBe(0)
  })

  it('tells nobody who was done in time, and is used again', () => {
    const clock = manualClock()
    const deadlines = new Deadlines(clock, 1_000)
    const one = new Watched(deadlines)
    one.done()
    clock.advance(5_000)
    const two = new Watched(deadlines)
    clock.advance(1_000)
    expect([one.expired, two.expired]).toEqual([0, 1])
  })
})
