import { afterEach, describe, expect, it } from 'vitest'
import { soon } from '../../../test/support/soon.ts'
import {
  call,
  callerOf,
  callText,
  CLIENT,
  converse,
  isAlive,
  openTestUpstreams,
  stdioUpstream,
  type TestUpstreams,
  testInbox,
} from '../../../test/support/upstreams/stdio-upstreams.ts'
import { Secret } from '../../lib/secret.ts'
import type { UpstreamOptions } from '../options.ts'

const opened: TestUpstreams[] = []
function open(options: readonly UpstreamOptions[], more: Parameters<typeof openTestUpstreams>[1] = {}) {
  const upstreams = openTestUpstreams(options, more)
  opened.push(upstreams)
  return upstreams
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()))
})

describe('processes of a stdio server', () => {
  it('F5 answers through a process that was started for the first who needs it', async () => {
    const upstreams = open([stdioUpstream('unruly')])
    expect(upstreams.upstreams.find('unruly')?.status()).toMatchObject({ state: 'idle', processes: 0 })
    const conversation = await converse(upstreams, 'unruly')
    expect(conversation.about).toMatchObject({ revision: '2025-11-25', instructions: 'Take care.' })
    expect(await callText(conversation, 'echo', { a: 1 })).toBe('{"a":1}')
    expect(upstreams.upstreams.find('unruly')?.status()).toMatchObject({
      state: 'up',
      transport: 'stdio',
      revision: '2025-11-25',
      processes: 1,
      conversations: 1,
    })
  })
})
