import { describe, expect, it } from 'vitest'
import { Lifelines } from './lifelines.ts'

describe('Lifelines', () => {
  it('ends what one credential holds, at once, and nothing of another', () => {
    const lifelines = new Lifelines()
    const ended: string[] = []
    lifelines.hold('a', (reason) => ended.push(`a1 ${reason}`))
    lifelines.hold('a', (reason) => ended.push(`a2 ${reason}`))
    lifelines.hold('b', (reason) => ended.push(`b ${reason}`))
    lifelines.end('a', 'revoked')
    expect(ended).toEqual(['a1 revoked', 'a2 revoked'])
    lifelines.end('a', 'revoked')
    expect(ended).toHaveLength(2)
  })

  it('forgets what let go, so that a long-lived credential does not collect holders', () => {
    const lifelines = new Lifelines()
    const ended: string[] = []
    const release = lifelines.hold('a', () => ended.push('a'))
    expect(lifelines.size).toBe(1)
    release()
    expect(lifelines.size).toBe(0)
    lifelines.end('a', 'expired')
    expect(ended).toEqual([])
  })

  it('letting go after the end does not touch what was held since', () => {
    const lifelines = new Lifelines()
    const releaseOld = lifelines.hold('a', () => undefined)
    lifelines.end('a', 'changed')
    const ended: string[] = []
    lifelines.hold('a', () => ended.push('new'))
    releaseOld()
    lifelines.end('a', 'revoked')
    expect(ended).toEqual(['new'])
  })

  it('a holder that throws does not spare the others, and the fault is not swallowed', () => {
    const lifelines = new Lifelines()
    const ended: string[] = []
    lifelines.hold('a', () => {
      throw new Error('stuck')
    })
    lifelines.hold('a', () => ended.push('second'))
    expect(() => lifelines.end('a', 'revoked')).toThrow(AggregateError)
    expect(ended).toEqual(['second'])
  })

  it('endAll ends every credential', () => {
    const lifelines = new Lifelines()
    const ended: string[] = []
    for (const id of ['a', 'b', 'c']) lifelines.hold(id, (reason) => ended.push(`${id} ${reason}`))
    lifelines.endAll('shutdown')
    expect(ended).toEqual(['a shutdown', 'b shutdown', 'c shutdown'])
    expect(lifelines.size).toBe(0)
  })
})
