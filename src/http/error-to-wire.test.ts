import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { REFUSAL_CODES, refusal } from '../access/refusal.ts'
import { Fault, FAULT_CODES } from '../lib/fault.ts'
import { faultToRpc, refusalToRpc } from '../mcp/error-to-rpc.ts'
import { belongsInLog, faultStatus, faultToWire, refusalStatus, refusalToWire } from './error-to-wire.ts'

const context = {
  requestId: 'req-1',
  resourceMetadata: 'https://gate.example.org/.well-known/oauth-protected-resource/mcp',
}

describe('docs/errors.md', () => {
  const text = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8')
  const [, refusals = '', faults = ''] = text.split(/^## /m)
  const rows = (part: string): string[] =>
    [...part.matchAll(/^\| `(\w+)` +\| (\d+) +\| ([^|]+?) +\| [^|]+ \| [^|]+ \|$/gm)].map(
      ([, code, status, rpc]) => `${code} ${status} ${rpc}`,
    )

  it('lists every refusal with its status on both wires, and no other', () => {
    const expected = REFUSAL_CODES.map((code) => {
      const rpc = refusalToRpc(refusal(code, 'rule', 'message'), true)
      return `${code} ${refusalStatus(code).status} ${rpc === null ? 'tool result' : rpc.code}`
    })
    expect(rows(refusals).sort()).toEqual(expected.sort())
  })

  it('lists every fault with its status on both wires, and no other', () => {
    const expected = FAULT_CODES.map(
      (code) => `${code} ${faultStatus(code).status} ${faultToRpc(new Fault(code, 'message')).code}`,
    )
    expect(rows(faults).sort()).toEqual(expected.sort())
  })
})

describe('refusalToWire', () => {
  it('never says which part of a credential was wrong', () => {
    const said = ['missing', 'expired', 'revoked'].map((why) =>
      refusalToWire(refusal('unauthorized', `credential.${why}`, `it is ${why}`, { allowed: why }), context),
    )
    expect(new Set(said.map((one) => JSON.stringify(one))).size).toBe(1)
    expect(JSON.stringify(said[0])).not.toMatch(/missing|expired|revoked/)
  })

  it('keeps everything that a rule says', () => {
    const more = {
      allowed: 'a',
      node: 'n',
      sqlstate: '42601',
      position: 3,
      hint: 'h',
      candidates: ['c'],
      scopes: ['s'],
    }
    expect(refusalToWire(refusal('sql_syntax', 'r', 'm', more), context)).toEqual({
      status: 400,
      headers: {},
      body: {
        error: 'bad_request',
        message: 'm',
        code: 'sql_syntax',
        rule: 'r',
        ...more,
        request_id: 'req-1',
      },
    })
  })

  it('lets no scope break out of the header', () => {
    const scopes = ['good:one', 'bad" realm="x', 'line\r\nbreak']
    const { headers } = refusalToWire(refusal('scope_missing', 'scope', 'm', { scopes }), context)
    expect(headers['www-authenticate']).toContain('scope="good:one"')
  })
})

describe('faultToWire', () => {
  it('passes on the sentence of a passing fault, and when to try again', () => {
    const fault = new Fault('database_busy', 'all connections are in use', {
      retryAfterS: 0.2,
      cause: 'inner',
    })
    expect(faultToWire(fault, context)).toMatchObject({
      status: 503,
      headers: { 'retry-after': '1' },
      body: { message: 'all connections are in use', code: 'database_busy' },
    })
  })

  it.each([new Error('inner'), new Fault('data_dir_unusable', 'inner'), 'inner', undefined, null])(
    'says nothing of %s',
    (thrown) => {
      const wire = faultToWire(thrown, context)
      expect(wire.status).toBe(500)
      expect(JSON.stringify(wire)).not.toContain('inner')
    },
  )

  it('names no file of the store, which anybody with an invented token would hear', () => {
    const fault = new Fault('store_unavailable', 'the store /srv/postern/store.db: the disk is full')
    const { status, body } = faultToWire(fault, context)
    expect({ status, code: body.code }).toEqual({ status: 503, code: 'store_unavailable' })
    expect(body.message).not.toMatch(/srv|disk/)
  })
})

describe('belongsInLog', () => {
  it('logs defects and what nobody else tells of', () => {
    const logged = FAULT_CODES.filter((code) => belongsInLog(new Fault(code, 'message')))
    expect(logged).toEqual(expect.arrayContaining(['internal', 'store_unavailable', 'model_unavailable']))
    for (const passing of ['database_busy', 'shutting_down']) expect(logged).not.toContain(passing)
    expect(belongsInLog(new TypeError('a defect'))).toBe(true)
  })
})
