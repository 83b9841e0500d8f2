import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import { openStream, plainSession } from '../support/plain-client.ts'
import { event, events, rawSessionMcp, result } from '../support/upstreams/raw-mcp.ts'

const TOKEN = 'a-token-of-the-tests-of-changed-grants'

const server = () =>
  rawSessionMcp(
    (message, response) => message.method === 'tools/list' && result(response, message, { tools: [] }),
    {
      session: 'one',
      other(response, request) {
        if (request.method !== 'GET') return false
        const stream = events(response)
        const tell = setInterval(() => {
          const params = { uri: 'file:///secret' }
          stream.write(event({ jsonrpc: '2.0', method: 'notifications/resources/updated', params }))
        }, 50)
        response.on('close', () => clearInterval(tell))
        return true
      },
    },
  )

test('a server that is taken from a grant is not begun with again for it, and says nothing more to it', async () => {
  const [kept, taken] = [await server(), await server()]
  const gateway = await startGateway({
    configuration: {
      auth: { tokens: { tests: { value: TOKEN, level: 'read-write', servers: ['kept', 'taken'] } } },
      mcpServers: {
        kept: { url: kept.url, transport: 'streamable' },
        taken: { url: taken.url, transport: 'streamable' },
      },
    },
  })
  try {
    const client = await plainSession(`${gateway.url}/mcp`, TOKEN)
    const before = await openStream(`${gateway.url}/mcp`, client.headers)
    await client.request('resources/subscribe', { uri: 'file:///secret' })
    // Any server says yes to a subscription: the first one has it.
    await expect.poll(() => kept.messages.map(({ method }) => method)).toContain('resources/subscribe')
    await expect.poll(() => before.text()).toContain('file:///secret')

    const path = join(gateway.dir, 'postern.yaml')
    const changed = (await readFile(path, 'utf8')).replace(/,\s*"taken"\s*\]/, ']')
    expect(changed).toMatch(/"kept"\s*\]/)
    await writeFile(`${path}.new`, changed)
    await rename(`${path}.new`, path)
    await before.ended
    expect(await client.request('tools/list')).toMatchObject({ code: 'ok' })
    const begun = taken.messages.length
    const after = await openStream(`${gateway.url}/mcp`, client.headers)
    // Longer than it takes to try again what one hears from.
    await new Promise((resolve) => setTimeout(resolve, 2_500))
    expect(taken.messages.slice(begun).map(({ method }) => method)).toEqual([])
    after.close()
  } finally {
    await gateway.close()
    await kept.close()
    await taken.close()
  }
})
