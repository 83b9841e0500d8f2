import { connect, type Socket } from 'node:net'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { mcpHarness, type McpHarness, stateless } from '../support/mcp-harness.ts'

/** A credential that is taken away while its request is still on the way in. */
describe('a body that outlives its credential', () => {
  let mcp: McpHarness
  const sockets: Socket[] = []
  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy()
    await mcp.close()
  })

  /** Sends the head and half of the body, ends the credential, then sends the rest. */
  const finishAfterRevocation = async (
    path: string,
    payload: string,
    headers: Readonly<Record<string, string>>,
  ): Promise<string> => {
    const socket = connect(Number(new URL(mcp.url).port), '127.0.0.1')
    sockets.push(socket)
    let received = ''
    socket.on('data', (chunk) => {
      received += chunk.toString()
    })
    const head = {
      host: new URL(mcp.url).host,
      authorization: 'Bearer token-reader',
      'content-type': 'application/json',
      'content-length': String(Buffer.byteLength(payload)),
      // The server says that it has accepted the credential and waits for the body.
      expect: '100-continue',
      ...headers,
    }
    const lines = Object.entries(head).map(([name, value]) => `${name}: ${value}`)
    socket.write(`POST ${path} HTTP/1.1\r\n${lines.join('\r\n')}\r\n\r\n${payload.slice(0, 10)}`)
    await vi.waitFor(() => expect(received).toContain('100 Continue'), { timeout: 10_000 })
    mcp.revoke('reader')
    socket.write(payload.slice(10))
    await vi.waitFor(() => expect(received).toMatch(/HTTP\/1\.1 [2-5]\d\d[\s\S]*\r\n\r\n/), {
      timeout: 10_000,
    })
    return received.slice(received.indexOf('\r\n\r\n') + 4)
  }

  it('opens no stream', async () => {
    mcp = await mcpHarness()
    const [body, headers] = stateless('subscriptions/listen', { notifications: { toolsListChanged: true } })
    const answer = await finishAfterRevocation('/mcp', JSON.stringify(body), headers)
    expect(answer).toMatch(/^HTTP\/1\.1 401 /)
    expect(answer.toLowerCase()).toContain('www-authenticate: bearer')
    expect(mcp.endpoint.counts()).toEqual({ sessions: 0, streams: 0 })
  })

  it('calls no tool and reaches no REST route', async () => {
    mcp = await mcpHarness()
    const call = JSON.stringify({
      jsonrpc: '2.0',
      id: 1,
      method: 'tools/call',
      params: { name: 'echo', arguments: {} },
    })
    expect(await finishAfterRevocation('/mcp', call, {})).toMatch(/^HTTP\/1\.1 401 /)
    await mcp.close()
    mcp = await mcpHarness()
    expect(await finishAfterRevocation('/mcp/tools/echo', '{"text":"hello"}', {})).toMatch(/^HTTP\/1\.1 401 /)
  })
})
