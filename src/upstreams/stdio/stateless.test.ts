import { afterEach, describe, expect, it } from 'vitest'
import { fixtureCommand } from '../../../test/support/fixture-upstream.ts'
import { manualClock } from '../../../test/support/clock.ts'
import { soon } from '../../../test/support/soon.ts'
import {
  call,
  callerOf,
  callText,
  CLIENT,
  converse,
  openTestUpstreams,
  stdioUpstream,
  type TestUpstreams,
  testInbox,
} from '../../../test/support/upstreams/stdio-upstreams.ts'
import type { StdioReach } from '../options.ts'

const opened: TestUpstreams[] = []
function open(
  reach: Partial<StdioReach> = {},
  more: Parameters<typeof openTestUpstreams>[1] = {},
): TestUpstreams {
  const command = fixtureCommand({ transport: 'stdio', revision: '2026-07-28' })
  const upstreams = openTestUpstreams([stdioUpstream('fixture', { reach: { ...command, ...reach } })], more)
  opened.push(upstreams)
  return upstreams
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()))
})

describe('F5 a stdio server of the stateless revision', () => {
  it('is found out by asking, and answers', async () => {
    const upstreams = open()
    const conversation = await converse(upstreams, 'fixture')
    expect(conversation.about.revision).toBe('2026-07-28')
    expect(await callText(conversation, 'test_simple_text')).not.toBe('')
    expect(upstreams.upstreams.find('fixture')?.status()).toMatchObject({
      transport: 'stdio',
      revision: '2026-07-28',
      processes: 1,
    })
  })

  it('is found out also when it takes longer to start than a silent server of the old era is given', async () => {
    const clock = manualClock()
    const { command, args } = fixtureCommand({ transport: 'stdio', revision: '2026-07-28' })
    const upstreams = open(
      { command: '/bin/sh', args: ['-c', 'sleep 0.5; exec "$0" "$@"', command, ...args] },
      { clock },
    )
    const begun = converse(upstreams, 'fixture')
    await soon(() => upstreams.upstreams.find('fixture')?.status().processes).toBe(1)
    clock.advance(4_000)
    expect((await begun).about.revision).toBe('2026-07-28')
    expect(await callText(await begun, 'test_simple_text')).not.toBe('')
  })

  it('brings progress to the conversation it belongs to, of several on one process', async () => {
    const upstreams = open()
    const conversations = await Promise.all([1, 2].map(() => converse(upstreams, 'fixture')))
    const heard: number[][] = [[], []]
    await Promise.all(
      conversations.map((conversation, at) =>
        call(
          conversation,
          'test_tool_with_progress',
          {},
          {
            onNotification: (method, params) => {
              if (method === 'notifications/progress') heard[at]?.push(params['progress'] as number)
            },
          },
        ),
      ),
    )
    expect(heard[0]?.length).toBeGreaterThan(1)
    expect(heard[1]).toEqual(heard[0])
    expect(upstreams.upstreams.find('fixture')?.status().processes).toBe(1)
  })

  it('tells each conversation the changes it listens for', async () => {
    const upstreams = open()
    const [listening, deaf] = [testInbox(), testInbox()]
    const a = await converse(upstreams, 'fixture', { inbox: listening })
    const b = await converse(upstreams, 'fixture', { inbox: deaf })
    expect(await a.listen({ toolsListChanged: true })).toEqual({ toolsListChanged: true })
    await call(b, 'test_trigger_tool_change')
    await soon(() => listening.notified.map(({ method }) => method)).toEqual([
      'notifications/tools/list_changed',
    ])
    expect(deaf.notified).toEqual([])
  })

  it('asks the client through the request that needs it', async () => {
    const upstreams = open()
    const conversation = await converse(upstreams, 'fixture', {
      client: { ...CLIENT, capabilities: { sampling: {} } },
    })
    const text = await callText(
      conversation,
      'test_sampling',
      { prompt: 'hello' },
      {
        ask: async () => ({
          kind: 'result',
          result: { role: 'assistant', model: 'm', content: { type: 'text', text: 'sampled' } },
        }),
      },
    )
    expect(text).toContain('sampled')
  })

  it('asks nobody where the process is shared', async () => {
    const upstreams = open({ process: 'shared' })
    const inbox = testInbox()
    const client = { ...CLIENT, capabilities: { sampling: {} } }
    const a = await converse(upstreams, 'fixture', { client, inbox })
    const b = await converse(upstreams, 'fixture', { client, inbox, caller: callerOf('b') })
    const answers = await Promise.all(
      [a, b].map((one) =>
        call(one, 'test_sampling', { prompt: 'hello' }, { ask: () => expect.unreachable() }),
      ),
    )
    for (const answer of answers)
      expect(answer.kind === 'error' || answer.result['isError'] === true).toBe(true)
    expect(inbox.asked).toEqual([])
    expect(upstreams.upstreams.find('fixture')?.status()).toMatchObject({ processes: 1, conversations: 2 })
  })

  it('cancels at the server what was given up here, and goes on', async () => {
    const upstreams = open()
    const conversation = await converse(upstreams, 'fixture')
    const controller = new AbortController()
    const slow = call(conversation, 'test_slow', { ms: 60_000 }, { signal: controller.signal })
    await callText(conversation, 'test_simple_text')
    controller.abort(new Error('enough'))
    await expect(slow).rejects.toThrow('enough')
    expect(await callText(conversation, 'test_simple_text')).not.toBe('')
  })
})
