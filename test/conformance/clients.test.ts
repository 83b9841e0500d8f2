import {
  Client as ClientV2,
  SSEClientTransport as SseTransportV2,
  StreamableHTTPClientTransport as StreamableTransportV2,
} from '@modelcontextprotocol/client'
import { Client as ClientV1 } from '@modelcontextprotocol/sdk/client/index.js'
import { SSEClientTransport as SseTransportV1 } from '@modelcontextprotocol/sdk/client/sse.js'
import { StreamableHTTPClientTransport as StreamableTransportV1 } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { Transport } from '@modelcontextprotocol/sdk/shared/transport.js'
import { ToolListChangedNotificationSchema } from '@modelcontextprotocol/sdk/types.js'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type McpHarness, mcpHarness } from '../support/mcp-harness.ts'
import { echoTool, testTool, text } from '../support/tools.ts'
import { soon } from '../support/soon.ts'

const INFO = { name: 'a-test', version: '1.0.0' }

/** A tool that runs until it is told to stop, and says that it was. */
const waiting = { started: 0, stopped: 0 }
const waitTool = testTool({
  name: 'wait',
  run: (_, { signal }) =>
    new Promise((resolve) => {
      waiting.started += 1
      signal.addEventListener('abort', () => {
        waiting.stopped += 1
        resolve(text('stopped'))
      })
    }),
})
const writeTool = testTool({ name: 'write', rule: { level: 'read-write' }, run: () => text('written') })

let mcp: McpHarness
beforeAll(async () => {
  mcp = await mcpHarness({ tools: [echoTool, waitTool, writeTool] })
})
afterAll(() => mcp.close())

const as = (name: string) => ({ requestInit: { headers: { Authorization: `Bearer token-${name}` } } })

/** The library's transports declare optional members in a way that `exactOptionalPropertyTypes` does not accept. */
const exact = (transport: unknown): Transport => transport as Transport

describe('the official client, version 1', () => {
  const transports = {
    'streamable HTTP': (name: string) => new StreamableTransportV1(new URL(`${mcp.url}/mcp`), as(name)),
    'HTTP with SSE': (name: string) => new SseTransportV1(new URL(`${mcp.url}/sse`), as(name)),
  }

  describe.each(Object.keys(transports) as (keyof typeof transports)[])('over %s', (kind) => {
    async function connect(name = 'reader') {
      const client = new ClientV1(INFO)
      const transport = transports[kind](name)
      await client.connect(exact(transport))
      return { client, transport }
    }

    it('connects, lists, calls, pings and closes', async () => {
      const { client } = await connect()
      expect(client.getServerVersion()).toMatchObject({ name: 'postern', title: 'Postern' })
      const { tools } = await client.listTools()
      expect(tools.map(({ name }) => name)).toEqual(['echo', 'wait'])
      const result = await client.callTool({ name: 'echo', arguments: { message: 'hello' } })
      expect(result).toEqual({
        content: [{ type: 'text', text: 'hello' }],
        structuredContent: { message: 'hello' },
      })
      expect(await client.ping()).toEqual({})
      await client.close()
    })

    it('is told of a refusal in words, and of an unknown tool as an error', async () => {
      const { client } = await connect()
      const refused = await client.callTool({ name: 'write', arguments: {} })
      expect(refused).toMatchObject({
        isError: true,
        content: [{ text: expect.stringContaining('level read-write is needed') as string }],
      })
      await expect(client.callTool({ name: 'nope', arguments: {} })).rejects.toMatchObject({ code: -32602 })
      await client.close()
    })

    it('stops a call that it no longer wants', async () => {
      const { client } = await connect()
      const { started, stopped } = waiting
      const abort = new AbortController()
      const call = client.callTool({ name: 'wait', arguments: {} }, undefined, { signal: abort.signal })
      const settled = expect(call).rejects.toThrow()
      await soon(() => waiting.started).toBe(started + 1)
      abort.abort('changed my mind')
      await settled
      await soon(() => waiting.stopped).toBe(stopped + 1)
      await client.close()
    })

    it('hears that there are other tools', async () => {
      const name = kind === 'streamable HTTP' ? 'grows' : 'grows-too'
      const { client } = await connect(name)
      const heard = new Promise<void>((resolve) => {
        client.setNotificationHandler(ToolListChangedNotificationSchema, () => {
          resolve()
        })
      })
      await soon(() => mcp.endpoint.counts().streams).toBe(1)
      mcp.endpoint.toolsChanged()
      await heard
      await client.close()
      await soon(() => mcp.endpoint.counts().streams).toBe(0)
    })

    it('is turned away when its credential has ended', async () => {
      const name = kind === 'streamable HTTP' ? 'ends' : 'ends-too'
      const { client } = await connect(name)
      await client.listTools()
      const { started } = waiting
      const pending = expect(client.callTool({ name: 'wait', arguments: {} })).rejects.toThrow()
      await soon(() => waiting.started).toBe(started + 1)
      mcp.revoke(name)
      await expect(client.listTools()).rejects.toThrow()
      await client.close()
      await pending
    })
  })

  it('ends its session with DELETE', async () => {
    const client = new ClientV1(INFO)
    const transport = new StreamableTransportV1(new URL(`${mcp.url}/mcp`), as('reader'))
    await client.connect(exact(transport))
    const open = mcp.endpoint.counts().sessions
    await transport.terminateSession()
    expect(mcp.endpoint.counts().sessions).toBe(open - 1)
    await client.close()
  })
})

describe('the official client, version 2', () => {
  const streamable = (name = 'reader') => new StreamableTransportV2(new URL(`${mcp.url}/mcp`), as(name))

  it.each([
    ['legacy', '2025-11-25'],
    ['auto', '2026-07-28'],
    [{ pin: '2026-07-28' }, '2026-07-28'],
  ] as const)('negotiates by %j and speaks %s', async (mode, version) => {
    const client = new ClientV2(INFO, { versionNegotiation: { mode } })
    await client.connect(streamable())
    expect(client.getNegotiatedProtocolVersion()).toBe(version)
    expect((await client.listTools()).tools.map(({ name }) => name)).toEqual(['echo', 'wait'])
    const result = await client.callTool({ name: 'echo', arguments: { message: 'hello' } })
    expect(result).toMatchObject({
      content: [{ type: 'text', text: 'hello' }],
      structuredContent: { message: 'hello' },
    })
    expect(await client.callTool({ name: 'write', arguments: {} })).toMatchObject({ isError: true })
    await client.close()
  })

  it('speaks over HTTP with SSE', async () => {
    const client = new ClientV2(INFO)
    await client.connect(new SseTransportV2(new URL(`${mcp.url}/sse`), as('reader')))
    const result = await client.callTool({ name: 'echo', arguments: { message: 'hello' } })
    expect(result.content).toEqual([{ type: 'text', text: 'hello' }])
    await client.close()
  })

  it('stops a call by closing its connection on the stateless revision', async () => {
    const client = new ClientV2(INFO, { versionNegotiation: { mode: 'auto' } })
    await client.connect(streamable())
    const { started, stopped } = waiting
    const abort = new AbortController()
    const settled = expect(
      client.callTool({ name: 'wait', arguments: {} }, { signal: abort.signal }),
    ).rejects.toThrow()
    await soon(() => waiting.started).toBe(started + 1)
    abort.abort('changed my mind')
    await settled
    await soon(() => waiting.stopped).toBe(stopped + 1)
    await client.close()
  })

  it('listens for changes on the stateless revision', async () => {
    const client = new ClientV2(INFO, { versionNegotiation: { mode: 'auto' } })
    await client.connect(streamable('listens'))
    const heard = new Promise<void>((resolve) => {
      client.setNotificationHandler('notifications/tools/list_changed', () => {
        resolve()
      })
    })
    const subscription = await client.listen({ toolsListChanged: true, promptsListChanged: true })
    expect(subscription.honoredFilter).toEqual({ toolsListChanged: true })
    mcp.endpoint.toolsChanged()
    await heard
    mcp.revoke('listens')
    expect(await subscription.closed).toBe('graceful')
    await client.close()
  })
})
