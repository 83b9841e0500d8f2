import type { ServerResponse } from 'node:http'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { type OpenStream, openStream, plainSession } from '../support/plain-client.ts'
import { soon } from '../support/soon.ts'
import { events, rawSessionMcp, type RawMcp, result } from '../support/upstreams/raw-mcp.ts'

const LAX = fileURLToPath(new URL('../support/upstreams/lax-server.ts', import.meta.url))
const GREEDY = 'a-token-of-somebody-who-takes-all-there-is'
const OTHER = 'a-token-of-somebody-who-wants-one-of-them'

let gateway: RunningGateway
let http: RawMcp
let sessions = 0
const held: ServerResponse[] = []
beforeAll(async () => {
  http = await rawSessionMcp(
    (message, response) => {
      if (message.method === 'initialize') response.setHeader('mcp-session-id', `s-${(sessions += 1)}`)
      if (message.method !== 'tools/call') return false
      if (message.params['name'] !== 'wait') return result(response, message, { content: [] })
      held.push(response)
      return true
    },
    {
      other: (response, { method }) => {
        if (method === 'GET') held.push(events(response))
        return method === 'GET'
      },
    },
  )
  gateway = await startGateway({
    configuration: {
      auth: {
        tokens: {
          greedy: { value: GREEDY, level: 'read-write' },
          other: { value: OTHER, level: 'read-write' },
        },
      },
      mcpServers: {
        stdio: { command: process.execPath, args: [LAX], conversations: 8, concurrency: 8 },
        http: { url: http.url, transport: 'streamable', conversations: 8, concurrency: 8 },
      },
    },
  })
})
afterAll(async () => {
  for (const one of held) one.destroy()
  await gateway.close()
  await http.close()
})

describe.each(['stdio', 'http'])(
  'one credential leaves something of a server over %s to others',
  (server) => {
    test('requests that run', async () => {
      const url = `${gateway.url}/${server}/mcp`
      // Over HTTP the first is translated, and what follows passes as it is.
      await plainSession(url, GREEDY)
      const mine = await plainSession(url, GREEDY)
      const theirs = await plainSession(url, OTHER)
      const over = new AbortController()
      const refused: string[] = []
      const calls = Array.from({ length: 12 }, async () => {
        const { code } = await mine.call('wait', { ms: 60_000 }, { signal: over.signal })
        if (!over.signal.aborted) refused.push(code)
      })
      try {
        await soon(() => refused.length).toBe(6)
        expect(await theirs.call('open')).toMatchObject({ code: 'ok' })
        expect(new Set(refused)).toEqual(new Set(['upstream_busy']))
      } finally {
        over.abort()
        await Promise.all(calls)
      }
      // What was given up ends at the server a moment later than here.
      await soon(async () => (await mine.call('open')).code).toBe('ok')
    })
  },
)

test('streams that pass as they are', async () => {
  const url = `${gateway.url}/http/mcp`
  const streams: OpenStream[] = []
  try {
    for (let session = 0; session < 4; session += 1) {
      const { headers } = await plainSession(url, GREEDY)
      for (let count = 0; count < 4; count += 1) streams.push(await openStream(url, headers))
    }
    const statuses = streams.map(({ status }) => status)
    expect(statuses.filter((status) => status === 200).length).toBe(6)
    const theirs = await plainSession(url, OTHER)
    const stream = await openStream(url, theirs.headers)
    streams.push(stream)
    expect(stream.status).toBe(200)
    expect(await theirs.call('open')).toMatchObject({ code: 'ok' })
  } finally {
    for (const stream of streams) stream.close()
  }
})
