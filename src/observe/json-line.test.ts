import * as fc from 'fast-check'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { jsonLine } from './json-line.ts'

/** What pino writes, at the time that its own line says. */
function byPino(fields: Record<string, unknown>, msg: string): { line: string; now: number } {
  let line = ''
  const options = {
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label.toUpperCase() }) },
  }
  pino(options, { write: (text: string) => void (line += text) }).info(fields, msg)
  return { line, now: Date.parse((JSON.parse(line) as { time: string }).time) }
}

describe('a line of plain values', () => {
  it('is the line that pino writes', () => {
    const plain = fc.oneof(
      fc.string({ unit: 'binary' }),
      fc.integer(),
      fc.double({ noNaN: true, noDefaultInfinity: true }),
      fc.boolean(),
      fc.constant(null),
      fc.constant(undefined),
    )
    const names = fc
      .stringMatching(/^[a-z_]{1,12}$/)
      .filter((name) => !['err', 'msg', 'level', 'time'].includes(name))
    fc.assert(
      fc.property(fc.dictionary(names, plain), fc.string({ unit: 'binary' }), (made, msg) => {
        const fields = { ...made }
        const { line, now } = byPino(fields, msg)
        expect(JSON.parse(jsonLine('info', msg, fields, now) ?? '')).toEqual(JSON.parse(line))
        expect(jsonLine('info', msg, fields, now)?.split('\n')).toHaveLength(2)
      }),
    )
  })

  it('is byte for byte the same for a request', () => {
    const fields = { token_name: 'a"b', server: undefined, status: 200, duration_ms: 1.25, request_id: 'x' }
    const { line, now } = byPino(fields, 'Authenticated request')
    expect(jsonLine('info', 'Authenticated request', fields, now)).toBe(line)
  })

  it('is none where a value is not plain', () => {
    for (const value of [new Error('x'), {}, [], Number.NaN, 1n, () => 1, Symbol('x')]) {
      expect(jsonLine('info', 'm', { value }, 0)).toBeUndefined()
    }
  })
})
