import { Agent, request as httpRequest } from 'node:http'
import { connect } from 'node:net'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { initialize, type McpHarness, mcpHarness, request, stateless } from '../support/mcp-harness.ts'
import { echoTool, testTool, text } from '../support/tools.ts'
import { soon } from '../support/soon.ts'

const FLOOD = 10_000
const PER_CREDENTIAL = 50

const seen: unknown[] = []
const spyTool = testTool({
  name: 'spy',
  run: (args) => {
    seen.push(args)
    return text(String(({} as Record<string, unknown>).polluted))
  },
})

describe('attacks on the MCP endpoint', () => {
  let mcp: McpHarness
  let agent: Agent
  beforeEach(async () => {
    mcp = await mcpHarness({
      tools: [echoTool, spyTool],
      limits: { sessionsPerCredential: PER_CREDENTIAL, sessions: 1_000 },
    })
    agent = new Agent({ keepAlive: true, maxSockets: 8 })
  })
  afterEach(async () => {
    agent.destroy()
    await mcp.close()
  })

  /** Sends many POSTs over few connections, eight at a time, and counts the statuses. */
  async function flood(
    count: number,
    make: (index: number) => { body: unknown; headers?: Record<string, string> },
  ): Promise<Record<number, number>> {
    const statuses: Record<number, number> = {}
    let next = 0
    const worker = async (): Promise<void> => {
      while (next < count) {
        const { body, headers } = make(next++)
        const status = await postOnce(JSON.stringify(body), headers)
        statuses[status] = (statuses[status] ?? 0) + 1
      }
    }
    await Promise.all(Array.from({ length: 8 }, worker))
    return statuses
  }

  function postOnce(body: string, headers: Record<string, string> = {}): Promise<number> {
    return new Promise((resolve, reject) => {
      const sent = httpRequest(
        `${mcp.url}/mcp`,
        {
          agent,
          method: 'POST',
          headers: {
            authorization: 'Bearer token-flooder',
            'content-type': 'application/json',
            'content-length': Buffer.byteLength(body),
            ...headers,
          },
        },
        (answer) => {
          answer.resume().on('end', () => {
            resolve(answer.statusCode ?? 0)
          })
        },
      )
      sent.on('error', reject)
      sent.end(body)
    })
  }

  it('ten thousand sessions of one credential leave as many as it may have, and others their own', async () => {
    const mine = await mcp.open('2025-11-25', 'bystander')
    expect(await flood(FLOOD, () => ({ body: initialize('2025-11-25') }))).toEqual({ 200: FLOOD })
    expect(mcp.endpoint.counts().sessions).toBe(PER_CREDENTIAL + 1)
    const answer = await mcp.post(request('ping'), { 'mcp-session-id': mine }, 'bystander')
    expect(answer.status).toBe(200)
    mcp.revoke('flooder')
    expect(mcp.endpoint.counts().sessions).toBe(1)
  }, 60_000)

  it('ten thousand invented session ids open nothing', async () => {
    const statuses = await flood(FLOOD, (index) => ({
      body: request('tools/call', { name: 'spy' }),
      headers: { 'mcp-session-id': Buffer.from(`invented-${index}`.padEnd(24)).toString('base64url') },
    }))
    expect(statuses).toEqual({ 404: FLOOD })
    expect(mcp.endpoint.counts().sessions).toBe(0)
    expect(mcp.lifelines.size).toBe(0)
  }, 60_000)

  it('ten thousand notifications are acknowledged and leave nothing', async () => {
    const session = await mcp.open('2025-11-25', 'flooder')
    const statuses = await flood(FLOOD, (index) => ({
      body: { jsonrpc: '2.0', method: 'notifications/cancelled', params: { requestId: `id-${index}` } },
      headers: { 'mcp-session-id': session },
    }))
    expect(statuses).toEqual({ 202: FLOOD })
    expect(mcp.endpoint.counts()).toEqual({ sessions: 1, streams: 0 })
  }, 60_000)

  it('two session ids in one request are the session of neither', async () => {
    const session = await mcp.open()
    const { hostname, port } = new URL(mcp.url)
    const body = JSON.stringify(request('tools/list'))
    const answer = await new Promise<string>((resolve) => {
      const socket = connect(Number(port), hostname)
      socket.once('data', (chunk: Buffer) => {
        resolve(chunk.toString('latin1'))
        socket.destroy()
      })
      socket.write(
        `POST /mcp HTTP/1.1\r\nhost: ${hostname}:${port}\r\nauthorization: Bearer token-reader\r\n` +
          `content-type: application/json\r\ncontent-length: ${body.length}\r\n` +
          `mcp-session-id: ${session}\r\nmcp-session-id: ${session}\r\n\r\n${body}`,
      )
    })
    expect(answer).toMatch(/^HTTP\/1\.1 404 /)
  })

  it('a stream that nobody reads is cut off, whatever there is to tell', async () => {
    const session = await mcp.open()
    const { hostname, port } = new URL(mcp.url)
    const socket = connect({ port: Number(port), host: hostname })
    socket.pause()
    socket.write(
      `GET /mcp HTTP/1.1\r\nhost: ${hostname}:${port}\r\nauthorization: Bearer token-reader\r\n` +
        `accept: text/event-stream\r\nmcp-session-id: ${session}\r\n\r\n`,
    )
    await soon(() => mcp.endpoint.counts().streams).toBe(1)
    let told = 0
    while (mcp.endpoint.counts().streams > 0 && told < 1_000_000) {
      for (let count = 0; count < 5_000; count += 1) mcp.endpoint.toolsChanged()
      told += 5_000
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(mcp.endpoint.counts().streams).toBe(0)
    expect(told).toBeGreaterThan(5_000)
    socket.destroy()
  }, 60_000)

  it('a name in the header that is not the name in the body never reaches a tool', async () => {
    seen.length = 0
    const [body, headers] = stateless('tools/call', { name: 'spy', arguments: {} })
    for (const name of ['echo', 'spy2', 'SPY', '=?base64?ZWNobw==?=', 'spy,echo', 'spy;x', '']) {
      const answer = await mcp.post(body, { ...headers, 'mcp-name': name })
      expect([name, answer.status, answer.json.error?.code]).toEqual([name, 400, -32020])
    }
    expect(seen).toEqual([])
  })

  it('a version in the header that is not the version in the body never reaches a tool', async () => {
    seen.length = 0
    const [body, headers] = stateless('tools/call', { name: 'spy', arguments: {} })
    for (const version of ['2025-11-25', '2025-03-26', '2026-07-29', ' ', 'x'.repeat(4_000)]) {
      const answer = await mcp.post(body, { ...headers, 'mcp-protocol-version': version })
      expect(answer.status).toBe(400)
    }
    const bare = request('tools/call', { name: 'spy', arguments: {} })
    expect((await mcp.post(bare, { 'mcp-protocol-version': '2026-07-28' })).status).toBe(400)
    expect(seen).toEqual([])
  })

  it('arguments named __proto__ and constructor change nothing', async () => {
    const raw =
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"spy","arguments":' +
      '{"__proto__":{"polluted":"yes"},"constructor":{"prototype":{"polluted":"yes"}}}}}'
    const answer = await mcp.post(raw)
    expect(answer.text).not.toContain('yes')
    expect(({} as Record<string, unknown>).polluted).toBeUndefined()
  })

  it('a session learned from a log is worth nothing without its credential', async () => {
    const session = await mcp.open('2025-11-25', 'victim')
    for (const name of ['thief', 'other-thief']) {
      for (const method of ['tools/list', 'tools/call', 'ping']) {
        const answer = await mcp.post(request(method, { name: 'spy' }), { 'mcp-session-id': session }, name)
        expect(answer.status).toBe(404)
        expect(answer.text).not.toContain(session)
      }
    }
  })
})
