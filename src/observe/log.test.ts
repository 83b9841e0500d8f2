import { describe as suite, expect, it } from 'vitest'
import { describe } from './describe.ts'
import { jsonLog, textLog } from './log.ts'
import type { Observation } from './observation.ts'

const REQUEST: Observation = {
  kind: 'request',
  requestId: 'r1',
  method: 'POST',
  route: '/mcp',
  status: 200,
  durationMs: 1.23456,
  tokenName: 'development',
  credentialId: 'static:development',
  server: 'database',
}

suite('the log', () => {
  it('writes one JSON line for an authenticated request, with the fields that collectors know', () => {
    const lines: string[] = []
    jsonLog('info', { write: (line) => lines.push(line) })(REQUEST)
    expect(lines).toHaveLength(1)
    const line = JSON.parse(lines[0] ?? '') as Record<string, unknown>
    expect(line).toMatchObject({
      level: 'INFO',
      msg: 'Authenticated request',
      token_name: 'development',
      server: 'database',
      method: 'POST',
      status: 200,
      duration_ms: 1.235,
      request_id: 'r1',
    })
    expect(new Date(String(line['time'])).toISOString()).toBe(line['time'])
  })

  it('leaves out what is below its level', () => {
    const lines: string[] = []
    const write = (line: string): unknown => lines.push(line)
    jsonLog('warn', { write })(REQUEST)
    textLog('warn', { write })(REQUEST)
    expect(lines).toEqual([])
  })

  it('shows control characters of a caller as escapes, so that they cannot move the cursor', () => {
    const lines: string[] = []
    textLog('info', { write: (line) => lines.push(line) })({
      ...REQUEST,
      tokenName: 'a\u001B[2Jb\nINFO forged',
    })
    expect(lines.join('')).not.toContain('\u001B')
    expect(lines.join('').split('\n')).toHaveLength(2)
  })

  it('names the causes of a fault, outermost first', () => {
    const error = new Error('the store is away', { cause: new Error('ECONNREFUSED') })
    const { severity, fields } = describe({ kind: 'fault', where: 'store', error })
    expect(severity).toBe('error')
    expect(fields['error']).toMatchObject([
      expect.stringContaining('the store is away'),
      'Error: ECONNREFUSED',
    ])
  })
})
