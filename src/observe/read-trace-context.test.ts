import { describe, expect, it } from 'vitest'
import { readTraceContext } from './read-trace-context.ts'

const TRACE = '0af7651916cd43dd8448eb211c80319c'
const PARENT = 'b7ad6b7169203331'
const VALID = `00-${TRACE}-${PARENT}-01`

const parentOf = (traceparent: unknown): string | undefined => readTraceContext({ traceparent })?.traceparent
const stateOf = (tracestate: unknown): string | undefined =>
  readTraceContext({ traceparent: VALID, tracestate })?.tracestate

describe('readTraceContext', () => {
  it('takes the header of version 00 as it is', () => {
    expect(readTraceContext({ traceparent: VALID, tracestate: 'a=1,b=2' })).toEqual({
      traceparent: VALID,
      tracestate: 'a=1,b=2',
    })
    expect(readTraceContext({})).toBeUndefined()
  })

  it('prefers what the message itself carries, and takes both values from one place', () => {
    const other = `00-${'1'.repeat(32)}-${PARENT}-00`
    expect(readTraceContext({ traceparent: VALID, tracestate: 'a=1' }, { traceparent: other })).toEqual({
      traceparent: other,
    })
    expect(readTraceContext({ traceparent: VALID, tracestate: 'a=1' }, { traceparent: 'broken' })).toEqual({
      traceparent: VALID,
      tracestate: 'a=1',
    })
    for (const meta of [null, 'x', 3, [], {}, { tracestate: 'a=1' }, Object.create({ traceparent: other })]) {
      expect(readTraceContext({ traceparent: VALID }, meta)).toEqual({ traceparent: VALID })
    }
  })

  it.each([
    ['the empty text', ''],
    ['a list, as two headers become one', `${VALID}, ${VALID}`],
    ['version ff', `ff-${TRACE}-${PARENT}-01`],
    ['upper case', VALID.toUpperCase()],
    ['a trace id of zeros', `00-${'0'.repeat(32)}-${PARENT}-01`],
    ['a parent id of zeros', `00-${TRACE}-${'0'.repeat(16)}-01`],
    ['a trace id that is too short', `00-${TRACE.slice(1)}-${PARENT}-01`],
    ['more than version 00 has', `${VALID}-extra`],
    ['a blank after it', `${VALID} `],
    ['a line feed after it', `${VALID}\n`],
    ['a later version that goes on without a hyphen', `01-${TRACE}-${PARENT}-01extra`],
    ['a later version of absurd length', `01-${TRACE}-${PARENT}-01-${'x'.repeat(300)}`],
    ['a number', 7],
    ['a list of values', [VALID]],
  ])('counts %s as absent', (_, traceparent) => {
    expect(parentOf(traceparent)).toBeUndefined()
  })

  it('reads a later version as far as version 00 goes, and sends it on as 00', () => {
    expect(parentOf(`01-${TRACE}-${PARENT}-01`)).toBe(VALID)
    expect(parentOf(`cc-${TRACE}-${PARENT}-01-what-the-future-brings`)).toBe(VALID)
  })

  it('sends on the flags it knows and no others', () => {
    expect(parentOf(`00-${TRACE}-${PARENT}-ff`)).toBe(`00-${TRACE}-${PARENT}-03`)
    expect(parentOf(`00-${TRACE}-${PARENT}-00`)).toBe(`00-${TRACE}-${PARENT}-00`)
  })

  it('takes a list of vendors, less blanks and empty members', () => {
    expect(stateOf(' a=1 ,\t,tenant@system=two words,*=x'.replace('*', '0_-*/'))).toBe(
      'a=1,tenant@system=two words,0_-*/=x',
    )
  })

  it.each([
    ['nothing', ''],
    ['only commas', ', ,'],
    ['a member without a value', 'a=1,b'],
    ['a key in upper case', 'A=1'],
    ['a value with an equals sign', 'a=1=2'],
    ['a control character', 'a=1\r\nx: y'],
    ['a character beyond ASCII', 'a=é'],
    ['one key twice', 'a=1,a=2'],
    ['33 members', Array.from({ length: 33 }, (_, n) => `k${n}=v`).join(',')],
    ['a value of 257 characters', `a=${'x'.repeat(257)}`],
    ['absurd length', 'a=1,'.repeat(3_000)],
    ['an object', {}],
  ])('drops %s, and keeps the trace', (_, tracestate) => {
    expect(readTraceContext({ traceparent: VALID, tracestate })).toEqual({ traceparent: VALID })
  })

  it('shortens a long list by whole members, the long ones first, then from the end', () => {
    const long = `long=${'x'.repeat(200)}`
    const short = Array.from({ length: 10 }, (_, n) => `k${n}=${'v'.repeat(50)}`)
    const state = stateOf([long, ...short].join(',')) ?? ''
    expect(state.length).toBeLessThanOrEqual(512)
    expect(state.split(',')).toEqual(short.slice(0, 9))
  })

  it('takes no time to speak of over hostile text', () => {
    const startedAt = performance.now()
    for (const text of [
      'a='.repeat(4_000),
      `a=${' '.repeat(8_000)}`,
      `${'a'.repeat(8_000)}@`,
      ' '.repeat(8_000),
    ]) {
      stateOf(text)
    }
    expect(performance.now() - startedAt).toBeLessThan(200)
  })
})
