import { describe, expect, it } from 'vitest'
import { Lifelines } from './lifelines.ts'

describe('Lifelines', () => {
  it('tells every holder once, at once, with the reason', () => {
    const lifelines = new Lifelines()
    const told: string[] = []
    lifelines.hold('a', (reason) => told.push(`1 ${reason}`))
    lifelines.hold('a', (reason) => told.push(`2 ${reason}`))
    lifelines.hold('b', (reason) => told.push(`3 ${reason}`))
    lifelines.end('a', 'revoked')
    lifelines.end('a', 'revoked')
    expect(told).toEqual(['1 revoked', '2 revoked'])
    expect([lifelines.holds('a'), lifelines.holds('b'), lifelines.size]).toEqual([false, true, 1])
  })

  it('spares nobody when a holder throws', () => {
    const lifelines = new Lifelines()
    const told: string[] = []
    lifelines.hold('a', () => {
      throw new Error('bad holder')
    })
    lifelines.hold('a', () => told.push('told'))
    expect(() => lifelines.end('a', 'expired')).toThrow(AggregateError)
    expect(told).toEqual(['told'])
  })

  it('does not tell who let go, and letting go late harms no later holder', () => {
    const lifelines = new Lifelines()
    const told: string[] = []
    const letGo = lifelines.hold('a', () => told.push('first'))
    lifelines.end('a', 'changed')
    lifelines.hold('a', () => told.push('second'))
    letGo()
    expect(lifelines.holds('a')).toBe(true)
    lifelines.endAll('shutdown')
    expect(told).toEqual(['first', 'second'])
    expect(lifelines.size).toBe(0)
  })
})
