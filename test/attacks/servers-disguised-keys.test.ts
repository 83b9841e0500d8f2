import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { plainEvents, plainSession, plainStateless, post } from '../support/plain-client.ts'

const LAX = fileURLToPath(new URL('../support/upstreams/lax-server.ts', import.meta.url))
const TOKEN = 'a-token-of-the-tests-of-disguised-keys'

let gateway: RunningGateway
beforeAll(async () => {
  gateway = await startGateway({
    configuration: {
      auth: { tokens: { tests: { value: TOKEN, level: 'read-write' } } },
      mcpServers: {
        lax: {
          command: process.execPath,
          args: [LAX],
          toolFilter: { mode: 'deny', tools: ['secret'] },
        },
      },
    },
  })
})
afterAll(() => gateway.close())

/** Some servers read keys without regard to case, and the last one counts: they would run what was refused. */
const DISGUISES = [
  { Name: 'secret' },
  { NAME: 'secret' },
  { 'n\u0061Me': 'secret' },
  { '\u004eame': 'secret' },
]

const WAYS = {
  'a session': async () => plainSession(`${gateway.url}/lax/mcp`, TOKEN),
  'single requests': async () => plainStateless(`${gateway.url}/lax/mcp`, TOKEN),
  '2024-11-05': async () => plainEvents(`${gateway.url}/lax/sse`, TOKEN),
}

describe.each(Object.entries(WAYS))('%s', (_, open) => {
  test('a filtered tool is not run under a key that is written otherwise', async () => {
    const client = await open()
    expect(await client.call('secret')).toMatchObject({ code: 'tool_not_allowed' })
    expect((await client.call('open')).text).toMatch(/^ran open/)
    for (const params of DISGUISES) {
      const { raw } = await client.call('open', {}, { params })
      expect(raw, JSON.stringify(params)).not.toContain('ran secret')
    }
    const { raw } = await client.call('open', { shown: 1 }, { params: { Arguments: { hidden: 2 } } })
    expect(raw).not.toContain('hidden')
  })

  test('nor is another resource read than the one that was judged', async () => {
    const client = await open()
    const { raw } = await client.request('resources/read', { uri: 'note:a', URI: 'note:b' })
    expect(raw).not.toContain('held note:b')
  })
})

test('among all servers', async () => {
  const client = await plainSession(`${gateway.url}/mcp`, TOKEN)
  expect((await client.call('lax__open')).text).toMatch(/^ran open/)
  for (const params of DISGUISES) {
    const { raw } = await client.call('lax__open', {}, { params })
    expect(raw, JSON.stringify(params)).not.toContain('ran secret')
  }
})

test('in a batch, and without a session', async () => {
  const base = { authorization: `Bearer ${TOKEN}`, accept: 'application/json, text/event-stream' }
  const one = { jsonrpc: '2.0', method: 'tools/call', params: { name: 'open', Name: 'secret' } }
  const alone = await post(`${gateway.url}/lax/mcp`, base, { ...one, id: 1 })
  expect(alone.raw).not.toContain('ran secret')
  const batch = await fetch(`${gateway.url}/lax/mcp`, {
    method: 'POST',
    headers: { ...base, 'content-type': 'application/json', 'mcp-protocol-version': '2025-03-26' },
    body: JSON.stringify([{ ...one, id: 2 }]),
  })
  expect(await batch.text()).not.toContain('ran secret')
})
