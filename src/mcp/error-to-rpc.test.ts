import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type McpHarness, mcpHarness, request, stateless } from '../../test/support/mcp-harness.ts'
import { testTool } from '../../test/support/tools.ts'
import { REFUSAL_CODES, refusal, type RefusalCode } from '../access/refusal.ts'
import { Fault, FAULT_CODES, type FaultCode } from '../lib/fault.ts'
import { faultToRpc, refusalToRpc } from './error-to-rpc.ts'

const refusing = testTool({
  name: 'refusing',
  run: ({ code }) => ({
    outcome: 'refused',
    refusal: refusal(code as RefusalCode, 'a.rule', 'that is not done', {
      allowed: 'something else',
      scopes: ['stats:read', 'a"b\r\nc'],
    }),
  }),
})

const failing = testTool({
  name: 'failing',
  run: ({ code }) => {
    if (typeof code !== 'string') throw new Error('password=hunter2 in a stack')
    throw new Fault(code as FaultCode, 'the database is away', {
      cause: new Error('hunter2'),
      retryAfterS: 3,
    })
  },
})

const guarded = testTool({
  name: 'guarded',
  rule: { scopes: ['stats:read', 'stats:write'] },
  run: () => ({ outcome: 'done', content: [] }),
})

const writer = testTool({
  name: 'writer',
  rule: { level: 'read-write' },
  strings: ['sql'],
  run: () => ({ outcome: 'done', content: [] }),
})

describe('docs/errors.md', () => {
  const rows = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8').matchAll(
    /^\| `(\w+)` \| \d+ \| (tool result|-?\d+) \|/gm,
  )
  const documented = new Map(Array.from(rows, ([, code = '', answer = '']) => [code, answer]))

  it.each(REFUSAL_CODES)('says how %s is answered', (code) => {
    const error = refusalToRpc(refusal(code, 'a.rule', 'no'), true)
    expect(documented.get(code)).toBe(error === null ? 'tool result' : String(error.code))
  })

  it.each(FAULT_CODES)('says how %s is answered', (code) => {
    expect(documented.get(code)).toBe(String(faultToRpc(new Fault(code, 'broken')).code))
  })
})

describe('errors of tool calls', () => {
  let mcp: McpHarness
  beforeAll(async () => {
    mcp = await mcpHarness({ tools: [refusing, failing, guarded, writer] })
    mcp.regrant('narrow', { scopes: ['stats:read'] })
    mcp.regrant('scribe', { level: 'read-write' })
  })
  afterAll(() => mcp.close())

  const call = (name: string, args: unknown, as?: string) =>
    mcp.post(request('tools/call', { name, arguments: args }, 'id'), {}, as)

  const AS_RESULT: readonly RefusalCode[] = [
    'level_too_low',
    'server_not_allowed',
    'database_not_allowed',
    'tenant_not_allowed',
    'tool_not_allowed',
    'tool_failed',
    'upstream_credential_missing',
    'write_needs_confirmation',
    'sql_refused',
    'sql_syntax',
    'sql_failed',
    'sql_timeout',
    'result_too_large',
    'invalid_arguments',
    'not_found',
    'conflict',
    'cancelled',
  ]

  it.each(AS_RESULT)('%s is a tool result that a model can read', async (code) => {
    const answer = await call('refusing', { code })
    expect(answer.status).toBe(200)
    expect(answer.json.result).toMatchObject({
      isError: true,
      content: [{ type: 'text', text: expect.stringContaining('that is not done') as string }],
      _meta: { 'postern/refusal': { code, rule: 'a.rule', allowed: 'something else' } },
    })
    expect(answer.json.result?.content).toMatchObject([
      { text: expect.stringContaining('Rule: a.rule\nAllowed: something else') as string },
    ])
  })

  it.each(REFUSAL_CODES.filter((code) => !AS_RESULT.includes(code)))(
    '%s is a JSON-RPC error with the code and the rule',
    async (code) => {
      const answer = await call('refusing', { code })
      expect(answer.json.id).toBe('id')
      expect(answer.json.error?.message).toBe('that is not done')
      expect(answer.json.error?.data).toMatchObject({ code, rule: 'a.rule' })
      expect(answer.json.error?.code).toBe(refusalToRpc(refusal(code, 'r', 'm'), true)?.code)
    },
  )

  it('a missing scope is 403 with one challenge that names every scope needed', async () => {
    const answer = await call('guarded', {}, 'narrow')
    expect(answer.status).toBe(403)
    expect(answer.headers.get('www-authenticate')).toBe(
      `Bearer error="insufficient_scope", scope="stats:read stats:write", resource_metadata="${mcp.url}/.well-known/oauth-protected-resource/mcp"`,
    )
    expect(answer.json.error?.data).toMatchObject({ code: 'scope_missing', rule: 'scope' })
    const modern = await mcp.post(...stateless('tools/call', { name: 'guarded' }), 'narrow')
    expect(modern.status).toBe(403)
  })

  it('a missing scope in a batch is a tool result: no status is left to say it with', async () => {
    const answer = await mcp.post([request('tools/call', { name: 'guarded' })], {}, 'narrow')
    expect(answer.json).toMatchObject([{ result: { isError: true } }])
  })

  it('a scope that could break out of the header is left out of it', async () => {
    const answer = await call('refusing', { code: 'scope_missing' })
    expect(answer.headers.get('www-authenticate')).toContain('scope="stats:read"')
  })

  it('an unknown tool is -32602, also one that is named like a property of every object', async () => {
    for (const name of ['nope', '__proto__', 'constructor', 'toString']) {
      const answer = await call(name, {})
      expect([answer.status, answer.json.error?.code]).toEqual([200, -32602])
    }
  })

  it('who may not call a tool learns nothing of its arguments', async () => {
    const answer = await call('writer', { sql: 7 })
    expect(answer.json.result).toMatchObject({
      isError: true,
      _meta: { 'postern/refusal': { code: 'level_too_low' } },
    })
    const allowed = await call('writer', { sql: 7 }, 'scribe')
    expect(allowed.json.result).toMatchObject({
      content: [{ text: 'Refused: sql must be a string\nRule: arguments' }],
    })
  })

  it.each(FAULT_CODES)('the fault %s is -32603 with its code, without what is behind it', async (code) => {
    const answer = await call('failing', { code })
    expect([answer.json.error?.code, answer.json.error?.data]).toEqual([-32603, { code, retryAfterS: 3 }])
    expect(answer.headers.get('retry-after')).toBe('3')
    expect(answer.text).not.toContain('hunter2')
    expect(answer.text).not.toMatch(/\bat .*\.ts/)
  })

  it.each([
    ['upstream_unavailable', 503],
    ['upstream_busy', 503],
    ['upstream_invalid', 502],
    ['upstream_timeout', 504],
    ['shutting_down', 503],
    ['database_busy', 200],
  ])(
    'the fault %s alone in its reply is HTTP %i; in a batch the status is that of the batch',
    async (code, status) => {
      expect((await call('failing', { code })).status).toBe(status)
      const batch = [request('tools/call', { name: 'failing', arguments: { code } }, 'in-batch')]
      const answer = await mcp.post(batch, { 'mcp-protocol-version': '2025-03-26' })
      expect(answer.status).toBe(200)
      expect(answer.json).toMatchObject([{ id: 'in-batch', error: { data: { code } } }])
    },
  )

  it('anything else that is thrown is a fault without words, and is noticed', async () => {
    const answer = await call('failing', {})
    expect([answer.status, answer.json.error?.code]).toEqual([500, -32603])
    expect(answer.text).not.toContain('hunter2')
    const noticed = mcp.observations.filter((one) => one.kind === 'fault').at(-1)
    expect(noticed?.where).toBe('mcp.tools/call')
    expect(String(noticed?.error)).toContain('hunter2')
  })

  it('a refusal on the stateless revision carries resultType and the server', async () => {
    const answer = await mcp.post(...stateless('tools/call', { name: 'writer', arguments: { sql: 'x' } }))
    expect(answer.json.result).toMatchObject({
      resultType: 'complete',
      isError: true,
      _meta: {
        'io.modelcontextprotocol/serverInfo': { name: 'postern' },
        'postern/refusal': { code: 'level_too_low' },
      },
    })
  })
})
