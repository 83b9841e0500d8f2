import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fixtureCommand } from '../../../test/support/fixture-upstream.ts'
import {
  EventReader,
  type McpHarness,
  mcpHarness,
  request,
  stateless,
} from '../../../test/support/mcp-harness.ts'
import { servedUpstreams } from '../../../test/support/served-upstreams.ts'
import { httpTransport, sessionClient } from '../../../test/support/session-client.ts'
import { toolCall } from '../../../test/support/server-client.ts'
import { soon } from '../../../test/support/soon.ts'
import type { Params } from '../../lib/json-rpc.ts'

const served = servedUpstreams({
  one: fixtureCommand({ transport: 'stdio', revision: '2025-11-25' }),
  two: fixtureCommand({ transport: 'stdio', revision: '2026-07-28' }),
  dead: { command: process.execPath, args: ['-e', 'process.exit(3)'] },
})
let mcp: McpHarness
beforeAll(async () => {
  mcp = await mcpHarness({ backends: served.make })
})
afterAll(async () => {
  await mcp.close()
  await served.close()
})

const namesOf = (result: Params | undefined): readonly unknown[] =>
  ((result?.tools ?? []) as Params[]).map(({ name }) => name)

describe('all servers at one address', () => {
  it('are listed with the tools of Postern, to every kind of client', async () => {
    const loose = namesOf((await mcp.post(request('tools/list'))).json.result)
    const modern = namesOf((await mcp.post(...stateless('tools/list'))).json.result)
    const session = { 'mcp-session-id': await mcp.open('2025-06-18') }
    const held = namesOf((await mcp.post(request('tools/list'), session)).json.result)
    for (const names of [loose, modern, held]) {
      expect(names).toEqual(expect.arrayContaining(['echo', 'one__test_echo', 'two__test_echo']))
    }
  })

  it('are called by prefixed names, and Postern by plain ones', async () => {
    const own = await mcp.post(toolCall('echo', { message: 'm' }))
    expect(own.json.result).toMatchObject({ content: [{ text: 'm' }] })
    for (const server of ['one', 'two']) {
      const call = await mcp.post(toolCall(`${server}__test_echo`, { message: 'hello' }))
      expect(call.json.result).toMatchObject({
        content: [{ text: expect.stringContaining('hello') as unknown }],
      })
    }
    const unknown = await mcp.post(toolCall('three__test_echo'))
    expect(unknown.json.error).toMatchObject({ code: -32602, data: { code: 'unknown_tool' } })
  })

  it('ask the client of a session, wherever the question comes from', async () => {
    const target = { url: `${mcp.url}/sse`, headers: { authorization: 'Bearer token-asked' } }
    const client = await sessionClient('2024-11-05', httpTransport(target))
    for (const server of ['one', 'two']) {
      const result = await client.call(`${server}__test_sampling`, { prompt: 'how are you?' })
      expect(JSON.stringify(result)).toContain('I was asked: how are you?')
    }
    await client.close()
  })

  it('tell once that there are other tools', async () => {
    const session = { 'mcp-session-id': await mcp.open('2025-11-25') }
    const news = new EventReader(await mcp.send('GET', '/mcp', { ...session, accept: 'text/event-stream' }))
    await news.next()
    await mcp.post(toolCall('one__test_trigger_tool_change'), session)
    expect(await news.json()).toMatchObject({ method: 'notifications/tools/list_changed' })
    const names = async () => namesOf((await mcp.post(request('tools/list'), session)).json.result)
    await soon(names).toContain('one__test_added_tool')
    await mcp.post(toolCall('one__test_trigger_tool_change'), session)
    expect(await news.json()).toMatchObject({ method: 'notifications/tools/list_changed' })
    await soon(names).not.toContain('one__test_added_tool')
    await news.cancel()
  })
})
