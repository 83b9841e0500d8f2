import { afterEach, describe, expect, it } from 'vitest'
import { soon } from '../../test/support/soon.ts'
import {
  call,
  callText,
  converse,
  isAlive,
  openTestUpstreams,
  stdioUpstream,
  type TestUpstreams,
  testInbox,
} from '../../test/support/upstreams/stdio-upstreams.ts'
import { Secret } from '../lib/secret.ts'

const opened: TestUpstreams[] = []
function open(...args: Parameters<typeof openTestUpstreams>): TestUpstreams {
  const upstreams = openTestUpstreams(...args)
  opened.push(upstreams)
  return upstreams
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()))
})

const withSecret = (value: string) =>
  stdioUpstream('secret', { reach: { env: { TOKEN: new Secret(value) } } })

describe('F8 taking over a changed configuration', () => {
  it('leaves what is the same undisturbed, ends what changed or went, and has what is new', async () => {
    const upstreams = open([stdioUpstream('same'), withSecret('one'), stdioUpstream('gone')])
    const told: string[] = []
    upstreams.upstreams.onChange((name) => told.push(name))
    const [same, changed, gone] = [testInbox(), testInbox(), testInbox()]
    const undisturbed = await converse(upstreams, 'same', { inbox: same })
    const before = await converse(upstreams, 'secret', { inbox: changed })
    await converse(upstreams, 'gone', { inbox: gone })
    const pid = Number(await callText(before, 'pid'))
    const running = call(before, 'hang')
    running.catch(() => undefined)
    const steady = call(undisturbed, 'slow', { ms: 100 })

    upstreams.upstreams.reload([stdioUpstream('new'), withSecret('two'), stdioUpstream('same')])

    expect(upstreams.upstreams.list().map(({ name }) => name)).toEqual(['new', 'secret', 'same'])
    expect(told.toSorted()).toEqual(['gone', 'new', 'secret'])
    expect(same.endings).toEqual([])
    expect((await steady).kind).toBe('result')
    await expect(running).rejects.toMatchObject({ code: 'upstream_unavailable' })
    expect([changed.endings.length, gone.endings.length]).toEqual([1, 1])
    expect(upstreams.upstreams.find('gone')).toBeUndefined()
    await soon(() => isAlive(pid)).toBe(false)
    const environment = await callText(await converse(upstreams, 'secret'), 'environment')
    expect(JSON.parse(environment)).toMatchObject({ TOKEN: 'two' })
  })

  it('sees no difference where there is none', async () => {
    const upstreams = open([withSecret('one')])
    const inbox = testInbox()
    await converse(upstreams, 'secret', { inbox })
    const server = upstreams.upstreams.find('secret')
    upstreams.upstreams.reload([withSecret('one')])
    expect(upstreams.upstreams.find('secret')).toBe(server)
    expect(inbox.endings).toEqual([])
  })
})

describe('closing', () => {
  it('ends conversations, processes and what begins at that moment', async () => {
    const upstreams = open([stdioUpstream('unruly')])
    const inbox = testInbox()
    const conversation = await converse(upstreams, 'unruly', { inbox })
    const pid = Number(await callText(conversation, 'pid'))
    const beginning = converse(upstreams, 'unruly', { inbox: testInbox() })
    beginning.catch(() => undefined)
    await upstreams.close()
    expect(isAlive(pid)).toBe(false)
    expect(inbox.endings).toMatchObject([{ code: 'shutting_down' }])
    await expect(beginning).rejects.toMatchObject({ name: 'Fault' })
    await expect(converse(upstreams, 'unruly')).rejects.toMatchObject({ code: 'shutting_down' })
    expect(upstreams.lifelines.size).toBe(0)
  })

  it('lets go of a conversation that was closed twice, once', async () => {
    const upstreams = open([stdioUpstream('unruly')])
    const conversation = await converse(upstreams, 'unruly')
    conversation.close()
    conversation.close()
    await expect(call(conversation, 'echo')).rejects.toMatchObject({ code: 'upstream_unavailable' })
    expect(upstreams.upstreams.find('unruly')?.status()).toMatchObject({ conversations: 0, state: 'idle' })
  })
})

describe('the inbox of somebody else', () => {
  it('cannot end the reading of a stream by throwing', async () => {
    const upstreams = open([stdioUpstream('unruly')])
    const conversation = await converse(upstreams, 'unruly', {
      inbox: {
        notification: () => {
          throw new Error('broken receiver')
        },
        ask: () => Promise.reject(new Error('nobody')),
        ended: () => undefined,
      },
    })
    await conversation.listen({ toolsListChanged: true })
    expect(await callText(conversation, 'changed')).toBe('changed')
    expect(upstreams.observed).toContainEqual(expect.objectContaining({ kind: 'fault', where: 'upstreams' }))
  })
})
