import { afterAll, describe } from 'vitest'
import { fixtureCommand } from '../support/fixture-upstream.ts'
import { conversationClient } from '../support/conversation-client.ts'
import {
  callerOf,
  openTestUpstreams,
  stdioUpstream,
  type TestUpstreams,
} from '../support/upstreams/stdio-upstreams.ts'
import { behaviours, PAGE_SIZE } from './behaviours.ts'

const opened: TestUpstreams[] = []
afterAll(async () => {
  for (const upstreams of opened) await upstreams.close()
})

describe.each(['2025-11-25', '2026-07-28'] as const)('the fixture over stdio in %s', (revision) => {
  behaviours({
    client: '2025-11-25',
    upstream: revision,
    // The code is the server's own: who speaks with a client translates it.
    notFound: revision === '2025-11-25' ? -32002 : -32602,
    async connect(options) {
      const reach = fixtureCommand({ transport: 'stdio', revision, pageSize: PAGE_SIZE })
      const test = openTestUpstreams([stdioUpstream('fixture', { reach })])
      opened.push(test)
      const upstream = test.upstreams.find('fixture')
      if (!upstream) throw new Error('no upstream')
      return conversationClient(upstream, callerOf('a'), '2025-11-25', options)
    },
  })
})
