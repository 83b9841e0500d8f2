import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { manualClock, type ManualClock } from '../../test/support/clock.ts'
import { type McpHarness, mcpHarness, request, stateless } from '../../test/support/mcp-harness.ts'
import { echoTool, testTool, text } from '../../test/support/tools.ts'
import type { CallContext } from '../tools/tool.ts'
import { CALLS_PER_CREDENTIAL } from './calls.ts'
import { soon } from '../../test/support/soon.ts'

const LIMIT_MS = 5_000

/** A tool that answers when the test says so, and does not listen to its signal: the worst there is. */
function stuckTool() {
  const contexts: CallContext[] = []
  const release: (() => void)[] = []
  const tool = testTool({
    name: 'stuck',
    run: (_, context) =>
      new Promise((resolve) => {
        contexts.push(context)
        release.push(() => {
          resolve(text('at last'))
        })
      }),
  })
  return { tool, contexts, release }
}

describe('running calls', () => {
  let mcp: McpHarness
  let clock: ManualClock
  let stuck: ReturnType<typeof stuckTool>
  beforeEach(async () => {
    clock = manualClock()
    stuck = stuckTool()
    mcp = await mcpHarness({ clock, tools: [echoTool, stuck.tool], limits: { requestTimeoutMs: LIMIT_MS } })
  })
  afterEach(() => mcp.close())

  const callStuck = (headers: Record<string, string> = {}, name?: string, id: unknown = 'call') =>
    mcp.post(request('tools/call', { name: 'stuck' }, id), headers, name)

  const running = (count = 1) => soon(() => stuck.contexts.length).toBe(count)

  it('are stopped by notifications/cancelled of the same session: no response, the signal aborted', async () => {
    const headers = { 'mcp-session-id': await mcp.open(), accept: 'application/json, text/event-stream' }
    const pending = callStuck(headers)
    await running()
    const cancel = (requestId: unknown, session: string, name?: string) =>
      mcp.post(
        { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId } },
        { 'mcp-session-id': session },
        name,
      )
    const elsewhere = await mcp.open()
    for (const [id, session] of [
      ['other', headers['mcp-session-id']],
      [7, headers['mcp-session-id']],
      [undefined, headers['mcp-session-id']],
      ['call', elsewhere],
    ] as const) {
      expect((await cancel(id, session)).status).toBe(202)
    }
    expect((await cancel('call', headers['mcp-session-id'], 'other')).status).toBe(404)
    expect(stuck.contexts[0]?.signal.aborted).toBe(false)
    await cancel('call', headers['mcp-session-id'])
    const answer = await pending
    expect([answer.status, answer.headers.get('content-type'), answer.text]).toEqual([
      200,
      'text/event-stream',
      '',
    ])
    expect(stuck.contexts[0]?.signal.aborted).toBe(true)
  })

  it('that were cancelled are answered with an error where the client reads no streams', async () => {
    const headers = { 'mcp-session-id': await mcp.open(), accept: 'application/json' }
    const pending = callStuck(headers)
    await running()
    await mcp.post(
      { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: 'call' } },
      headers,
    )
    expect((await pending).json.error?.code).toBe(499)
  })

  it('stop when their session is ended', async () => {
    const session = await mcp.open()
    const pending = callStuck({ 'mcp-session-id': session, accept: 'application/json' })
    await running()
    await mcp.send('DELETE', '/mcp', { 'mcp-session-id': session })
    expect((await pending).json.error?.code).toBe(499)
    expect(stuck.contexts[0]?.signal.aborted).toBe(true)
  })

  it.each(['2025-11-25', '2026-07-28'])('stop when the client goes away (%s)', async (version) => {
    const [body, headers] =
      version === '2026-07-28'
        ? stateless('tools/call', { name: 'stuck' })
        : [request('tools/call', { name: 'stuck' }), {}]
    const { port } = new URL(mcp.url)
    const socket = connect(Number(port), '127.0.0.1')
    const payload = JSON.stringify(body)
    const lines = Object.entries({
      host: `127.0.0.1:${port}`,
      authorization: 'Bearer token-reader',
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(payload)),
      ...headers,
    }).map(([name, value]) => `${name}: ${value}\r\n`)
    socket.write(`POST /mcp HTTP/1.1\r\n${lines.join('')}\r\n${payload}`)
    await running()
    socket.destroy()
    await soon(() => stuck.contexts[0]?.signal.aborted).toBe(true)
    expect(mcp.lifelines.size).toBe(0)
  })

  it('are answered when their time is up, the oldest first, each in its own time', async () => {
    const first = callStuck({}, 'reader', 1)
    await running(1)
    clock.advance(LIMIT_MS - 1)
    const second = callStuck({}, 'reader', 2)
    await running(2)
    clock.advance(1)
    const answer = await first
    expect(answer.json.result).toMatchObject({
      isError: true,
      _meta: { 'postern/refusal': { code: 'cancelled', rule: 'limits.requestTimeout' } },
    })
    expect(stuck.contexts.map(({ signal }) => signal.aborted)).toEqual([true, false])
    clock.advance(LIMIT_MS - 2)
    expect(stuck.contexts[1]?.signal.aborted).toBe(false)
    clock.advance(1)
    expect((await second).json.result).toMatchObject({ isError: true })
    expect(clock.waiting).toBe(0)
  })

  it('are answered with 401 at once when their credential ends, and nobody else is touched', async () => {
    const mine = callStuck({}, 'leaving')
    const other = callStuck({}, 'staying')
    await running(2)
    mcp.revoke('leaving')
    const answer = await mine
    expect([answer.status, answer.json.id, answer.json.error?.code]).toEqual([401, 'call', 401])
    expect(answer.headers.get('www-authenticate')).toBe(
      `Bearer error="invalid_token", resource_metadata="${mcp.url}/.well-known/oauth-protected-resource/mcp"`,
    )
    const stopped = stuck.contexts.filter(({ signal }) => signal.aborted)
    expect(stopped.map(({ signal }) => signal.reason as unknown)).toMatchObject([
      { name: 'CredentialEnded', reason: 'revoked' },
    ])
    for (const release of stuck.release) release()
    expect((await other).json.result).toEqual({ content: [{ type: 'text', text: 'at last' }] })
  })

  it('are stopped when the grant changed under them', async () => {
    const pending = callStuck({}, 'demoted')
    await running()
    mcp.regrant('demoted', { databases: [] })
    expect((await pending).json.result).toMatchObject({
      isError: true,
      _meta: { 'postern/refusal': { rule: 'credential.changed' } },
    })
  })

  it('are answered with 503 when the endpoint closes', async () => {
    const pending = callStuck()
    await running()
    mcp.endpoint.close()
    const answer = await pending
    expect([answer.status, answer.json.error?.code]).toEqual([503, -32603])
    expect(answer.json.error?.data?.code).toBe('shutting_down')
  })

  it('leave nothing behind, also when the tool answers after it was stopped', async () => {
    const pending = callStuck({}, 'leaving')
    await running()
    mcp.revoke('leaving')
    await pending
    stuck.release[0]?.()
    await mcp.post(request('tools/call', { name: 'echo', arguments: { message: 'x' } }))
    expect(mcp.lifelines.size).toBe(0)
    expect(mcp.observations.filter(({ kind }) => kind === 'fault')).toEqual([])
  })

  it('of one credential are bounded, and of another are not touched by it', async () => {
    const pending = Array.from({ length: CALLS_PER_CREDENTIAL }, (_, id) => callStuck({}, 'reader', id))
    await running(CALLS_PER_CREDENTIAL)
    const over = await callStuck()
    expect([over.status, over.json.error?.data?.code]).toEqual([429, 'too_many_requests'])
    const other = await mcp.post(
      request('tools/call', { name: 'echo', arguments: { message: 'x' } }),
      {},
      'other',
    )
    expect(other.status).toBe(200)
    for (const release of stuck.release) release()
    expect(new Set((await Promise.all(pending)).map(({ status }) => status))).toEqual(new Set([200]))
  })

  it('of a batch stop when the client goes away: what has not begun never does', async () => {
    const abort = new AbortController()
    const pending = fetch(`${mcp.url}/mcp`, {
      method: 'POST',
      headers: { authorization: 'Bearer token-reader', 'content-type': 'application/json' },
      body: JSON.stringify([1, 2, 3].map((id) => request('tools/call', { name: 'stuck' }, id))),
      signal: abort.signal,
    })
    await running()
    abort.abort()
    await expect(pending).rejects.toThrow()
    await soon(() => stuck.contexts[0]?.signal.aborted).toBe(true)
    await soon(() => mcp.lifelines.size).toBe(0)
    expect(stuck.contexts.length).toBe(1)
  })

  it('of a batch stop with the credential: what has not begun never does', async () => {
    const pending = mcp.post(
      [1, 2, 3].map((id) => request('tools/call', { name: 'stuck' }, id)),
      {},
      'leaving',
    )
    await running()
    mcp.revoke('leaving')
    expect((await pending).status).toBe(401)
    expect(stuck.contexts.length).toBe(1)
  })
})
