import { afterEach, describe, expect, it } from 'vitest'
import {
  callText,
  converse,
  openTestUpstreams,
  stdioUpstream,
  type TestUpstreams,
  testInbox,
} from '../../test/support/upstreams/stdio-upstreams.ts'

let upstreams: TestUpstreams
afterEach(() => upstreams.close())

const faults = (): readonly unknown[] =>
  upstreams.observed.flatMap((one) => (one.kind === 'fault' ? [one.error] : []))

describe('a listener that throws', () => {
  const broken = new Error('a fault of ours')
  const fail = (): never => {
    throw broken
  }

  it('is told to the log, and the call it belongs to goes on', async () => {
    upstreams = openTestUpstreams([stdioUpstream('unruly')])
    const conversation = await converse(upstreams, 'unruly')
    await callText(conversation, 'progress', { steps: 2 }, { onNotification: fail })
    expect(faults()).toEqual([broken, broken])
    expect(await callText(conversation, 'echo', { text: 'still here' })).toContain('still here')
  })

  it('leaves everybody else their conversations', async () => {
    upstreams = openTestUpstreams([stdioUpstream('unruly')])
    const conversation = await converse(upstreams, 'unruly', {
      inbox: { ...testInbox(), notification: fail },
    })
    await conversation.listen({ toolsListChanged: true })
    await callText(conversation, 'changed')
    expect(faults()).toEqual([broken])
    expect(await callText(conversation, 'echo', { text: 'still here' })).toContain('still here')
  })
})
