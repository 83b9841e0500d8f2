import { afterAll, describe } from 'vitest'
import { conversationClient } from '../support/conversation-client.ts'
import { httpUpstream } from '../support/upstreams/http-upstreams.ts'
import { callerOf, openTestUpstreams, type TestUpstreams } from '../support/upstreams/stdio-upstreams.ts'
import { behaviours, PAGE_SIZE } from './behaviours.ts'
import { type Fixture, startFixture } from './fixture/fixture.ts'

const opened: TestUpstreams[] = []
const fixtures: Fixture[] = []
afterAll(async () => {
  for (const upstreams of opened) await upstreams.close()
  for (const fixture of fixtures) await fixture.close()
})

describe.each([
  ['sse', '2024-11-05'],
  ['sse', '2025-11-25'],
  ['http', '2025-03-26'],
  ['http', '2025-06-18'],
  ['http', '2025-11-25'],
  ['http', '2026-07-28'],
] as const)('the fixture over %s in %s', (transport, revision) => {
  behaviours({
    client: '2025-11-25',
    upstream: revision,
    // The code is the server's own: who speaks with a client translates it.
    notFound: revision === '2026-07-28' ? -32602 : -32002,
    async connect(options) {
      const fixture = await startFixture({ transport, revision, pageSize: PAGE_SIZE })
      const test = openTestUpstreams([httpUpstream('fixture', { url: fixture.url })])
      fixtures.push(fixture)
      opened.push(test)
      const upstream = test.upstreams.find('fixture')
      if (!upstream) throw new Error('no upstream')
      return conversationClient(upstream, callerOf('a'), '2025-11-25', options)
    },
  })
})
