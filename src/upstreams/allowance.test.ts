import { describe, expect, it } from 'vitest'
import { Allowance } from './allowance.ts'

const allowance = (): Allowance => new Allowance({ burst: 10, perSecond: 100 }, 0)

describe('an allowance', () => {
  it('gives so much at once, and says how long the rest takes', () => {
    const one = allowance()
    expect(one.take(10, 0)).toBe(0)
    expect(one.take(5, 0)).toBe(50)
    expect(one.take(0, 50)).toBe(0)
  })

  it('does not save up more than the burst', () => {
    const one = allowance()
    expect(one.tryTake(10, 60_000)).toBe(true)
    expect(one.tryTake(1, 60_000)).toBe(false)
  })

  it('takes nothing that is not there', () => {
    const one = allowance()
    expect(one.tryTake(11, 0)).toBe(false)
    expect(one.tryTake(10, 0)).toBe(true)
  })

  it('bears a clock that is set back', () => {
    const one = allowance()
    one.take(10, 1_000)
    expect(one.take(0, 0)).toBe(0)
    expect(one.tryTake(10, 100)).toBe(true)
  })
})
