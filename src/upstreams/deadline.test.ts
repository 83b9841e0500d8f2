import { describe, expect, it } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import { deadline } from './deadline.ts'

const late = (): Error => new Error('late')

describe('a deadline', () => {
  it('is over when its time is', () => {
    const clock = manualClock()
    const time = deadline(clock, 1_000, late)
    clock.advance(999)
    expect(time.signal.aborted).toBe(false)
    clock.advance(1)
    expect(time.signal.reason).toMatchObject({ message: 'late' })
  })

  it('is over with its parent, also one that was over before', () => {
    const clock = manualClock()
    const parent = new AbortController()
    const time = deadline(clock, 1_000, late, parent.signal)
    parent.abort(new Error('gave up'))
    expect(time.signal.reason).toMatchObject({ message: 'gave up' })
    expect(deadline(clock, 1_000, late, parent.signal).signal.reason).toMatchObject({ message: 'gave up' })
  })

  it('stands still while it is suspended, however often', () => {
    const clock = manualClock()
    const time = deadline(clock, 1_000, late)
    clock.advance(600)
    time.suspend()
    time.suspend()
    clock.advance(60_000)
    time.resume()
    clock.advance(60_000)
    time.resume()
    clock.advance(399)
    expect(time.signal.aborted).toBe(false)
    clock.advance(1)
    expect(time.signal.aborted).toBe(true)
  })

  it('leaves no timer behind, also when a question outlives it', () => {
    const clock = manualClock()
    const time = deadline(clock, 1_000, late, new AbortController().signal)
    time.suspend()
    time.done()
    time.resume()
    expect(clock.waiting).toBe(0)
    const other = deadline(clock, 1_000, late)
    other.done()
    clock.advance(2_000)
    expect(other.signal.aborted).toBe(false)
  })
})
