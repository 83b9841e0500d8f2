import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { manualClock } from '../../../test/support/clock.ts'
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

const HOLDER = fileURLToPath(new URL('../../../test/support/upstreams/hold-server.ts', import.meta.url))

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

  it('F5 gives each credential a process of its own, which its conversations share', async () => {
    const upstreams = open([stdioUpstream('unruly')])
    const pids = await Promise.all(
      ['a', 'a', 'b'].map(async (id) =>
        callText(await converse(upstreams, 'unruly', { caller: callerOf(id) }), 'pid'),
      ),
    )
    expect(pids[0]).toBe(pids[1])
    expect(pids[2]).not.toBe(pids[0])
    expect(upstreams.upstreams.find('unruly')?.status()).toMatchObject({ processes: 2, conversations: 3 })
  })

  it('F5 gives a credential another process for a client that declared other capabilities', async () => {
    const upstreams = open([stdioUpstream('unruly')])
    const of = async (capabilities: Record<string, unknown>): Promise<string> =>
      callText(await converse(upstreams, 'unruly', { client: { ...CLIENT, capabilities } }), 'pid')
    const [plain, asking, again, reordered] = [
      await of({}),
      await of({ roots: {}, sampling: {} }),
      await of({}),
      await of({ sampling: {}, roots: {} }),
    ]
    expect(again).toBe(plain)
    expect(asking).not.toBe(plain)
    expect(reordered).toBe(asking)
  })

  it('F5 runs one process for all where the server is shared, which can ask nobody anything', async () => {
    const upstreams = open([stdioUpstream('unruly', { reach: { process: 'shared' } })])
    const client = { ...CLIENT, capabilities: { roots: {}, sampling: {} } }
    const inbox = testInbox()
    const a = await converse(upstreams, 'unruly', { client, inbox })
    const b = await converse(upstreams, 'unruly', { caller: callerOf('b'), client })
    expect(await callText(a, 'pid')).toBe(await callText(b, 'pid'))
    expect(await callText(a, 'ask', { method: 'roots/list' })).toContain('-32601')
    expect(inbox.asked).toEqual([])
  })

  it('F11 hands a process what is configured and a short list of harmless variables, never our own', async () => {
    const upstreams = open(
      [stdioUpstream('unruly', { reach: { env: { CONFIGURED: new Secret('value') } } })],
      {
        environment: {
          PATH: process.env['PATH'],
          HOME: '/nowhere',
          LC_ALL: 'C',
          POSTERN_TOKEN: 'pst_secret',
          DATABASE_URL: 'postgres://secret',
          NODE_OPTIONS: '--require=/nowhere.js',
          LC_EVIL: '() { :; }; echo evil',
        },
      },
    )
    const text = await callText(await converse(upstreams, 'unruly'), 'environment')
    expect(JSON.parse(text)).toEqual({
      PATH: process.env['PATH'],
      HOME: '/nowhere',
      LC_ALL: 'C',
      CONFIGURED: 'value',
    })
  })

  it('F11 hands a process the credential of its own caller, and refuses without one that is needed', async () => {
    const upstreams = open(
      [
        stdioUpstream('unruly', {
          options: { userCredential: { kind: 'env', name: 'OWN', required: true } },
        }),
      ],
      {
        credentials: {
          find: async (caller) =>
            caller.credential.name === 'a' ? new Secret(`own of ${caller.credential.name}`) : undefined,
          known: () => undefined,
        },
      },
    )
    const text = await callText(await converse(upstreams, 'unruly'), 'environment')
    expect(JSON.parse(text)).toMatchObject({ OWN: 'own of a' })
    const refused = await upstreams.upstreams
      .find('unruly')
      ?.converse(callerOf('b'), CLIENT, testInbox(), new AbortController().signal)
    expect(refused).toMatchObject({ ok: false, error: { code: 'upstream_credential_missing' } })
  })

  it('ends a process with its last conversation, after a moment in which another finds it', async () => {
    const clock = manualClock()
    const upstreams = open([stdioUpstream('unruly')], { clock })
    const first = await converse(upstreams, 'unruly')
    const pid = Number(await callText(first, 'pid'))
    first.close()
    clock.advance(1_000)
    const second = await converse(upstreams, 'unruly')
    clock.advance(5_000)
    expect(Number(await callText(second, 'pid'))).toBe(pid)
    second.close()
    expect(isAlive(pid)).toBe(true)
    clock.advance(2_000)
    expect(upstreams.upstreams.find('unruly')?.status()).toMatchObject({ state: 'idle', processes: 0 })
    await soon(() => isAlive(pid)).toBe(false)
  })

  it('ends what a process has started with it', async () => {
    const upstreams = open([stdioUpstream('unruly')])
    const conversation = await converse(upstreams, 'unruly')
    const child = Number(await callText(conversation, 'child'))
    expect(isAlive(child)).toBe(true)
    await upstreams.close()
    await soon(() => isAlive(child)).toBe(false)
  })

  it('ends what a process has started when it crashes', async () => {
    const upstreams = open([stdioUpstream('unruly')])
    const conversation = await converse(upstreams, 'unruly')
    const child = Number(await callText(conversation, 'child'))
    await expect(call(conversation, 'crash')).rejects.toMatchObject({ code: 'upstream_unavailable' })
    await soon(() => isAlive(child)).toBe(false)
  })

  it('ends a process that ignores both the end of its input and SIGTERM', async () => {
    const clock = manualClock()
    const upstreams = open([stdioUpstream('unruly', { flags: ['--ignore-eof', '--ignore-term'] })], { clock })
    const pid = Number(await callText(await converse(upstreams, 'unruly'), 'pid'))
    const closed = upstreams.close()
    clock.advance(1_000)
    expect(isAlive(pid)).toBe(true)
    clock.advance(2_000)
    await closed
    expect(isAlive(pid)).toBe(false)
  })

  it('P8 ends the processes of a credential with it within 100 ms, and nobody else’s', async () => {
    const clock = manualClock()
    const upstreams = open([stdioUpstream('unruly', { flags: ['--ignore-term'] })], { clock })
    const inbox = testInbox()
    const conversation = await converse(upstreams, 'unruly', { inbox })
    const other = await converse(upstreams, 'unruly', { caller: callerOf('b') })
    const pid = Number(await callText(conversation, 'pid'))
    const hanging = call(conversation, 'hang')
    hanging.catch(() => undefined)
    upstreams.lifelines.end('static:a', 'revoked')
    await expect(hanging).rejects.toMatchObject({ code: 'credential_changed' })
    clock.advance(50)
    await soon(() => isAlive(pid)).toBe(false)
    expect(inbox.endings).toMatchObject([{ code: 'credential_changed' }])
    expect(await callText(other, 'echo')).toBe('{}')
    expect(upstreams.lifelines.holds('static:a')).toBe(false)
  })

  it('lets go of the credential when everything of it was closed', async () => {
    const clock = manualClock()
    const upstreams = open([stdioUpstream('unruly')], { clock })
    const conversation = await converse(upstreams, 'unruly')
    conversation.close()
    clock.advance(2_000)
    expect(upstreams.lifelines.size).toBe(0)
  })

  it('bounds the processes, and takes the place of one that nobody uses', async () => {
    const upstreams = open([stdioUpstream('unruly', { limits: { conversations: 2 } })])
    const [a] = await Promise.all(
      ['a', 'b'].map((id) => converse(upstreams, 'unruly', { caller: callerOf(id) })),
    )
    const third = converse(upstreams, 'unruly', { caller: callerOf('c') })
    await expect(third).rejects.toMatchObject({ code: 'upstream_busy' })
    a?.close()
    expect(await callText(await converse(upstreams, 'unruly', { caller: callerOf('c') }), 'echo')).toBe('{}')
  })

  it('starts one process for many that come at once, also when one of them gives up', async () => {
    const upstreams = open([stdioUpstream('unruly')])
    const controller = new AbortController()
    const gaveUp = converse(upstreams, 'unruly', { signal: controller.signal })
    const others = Array.from({ length: 5 }, () => converse(upstreams, 'unruly'))
    controller.abort(new Error('changed my mind'))
    await expect(gaveUp).rejects.toThrow('changed my mind')
    const pids = await Promise.all((await Promise.all(others)).map((one) => callText(one, 'pid')))
    expect(new Set(pids).size).toBe(1)
    expect(upstreams.upstreams.find('unruly')?.status()).toMatchObject({ state: 'up', processes: 1 })
  })
})

describe('the end of Postern', () => {
  it('is the end of its servers, also when it was killed and could do nothing', async () => {
    const holder = spawn(process.execPath, [HOLDER], { stdio: ['ignore', 'pipe', 'inherit'] })
    const [line] = (await once(createInterface({ input: holder.stdout }), 'line')) as [string]
    const pid = Number(line)
    expect(isAlive(pid)).toBe(true)
    holder.kill('SIGKILL')
    await soon(() => isAlive(pid)).toBe(false)
  })

  it('waits for a server that had to be started a second time to be asked', async () => {
    const upstreams = open([stdioUpstream('unruly', { flags: ['--exit-on-discover', '--ignore-eof'] })])
    const pid = Number(await callText(await converse(upstreams, 'unruly'), 'pid'))
    await upstreams.close()
    expect(isAlive(pid)).toBe(false)
  })
})

describe('finding out what a stdio server speaks', () => {
  it('asks server/discover once, and remembers with a date that it begins with initialize', async () => {
    const clock = manualClock()
    const upstreams = open([stdioUpstream('unruly')], { clock })
    const calls = async (id: string): Promise<unknown> =>
      JSON.parse(await callText(await converse(upstreams, 'unruly', { caller: callerOf(id) }), 'calls'))
    expect(await calls('a')).toEqual(['server/discover', 'initialize', 'notifications/initialized'])
    const { probedAt } = upstreams.upstreams.find('unruly')?.status() ?? {}
    expect(probedAt).toBe(clock.now())
    clock.advance(1_000)
    expect(await calls('b')).toEqual(['initialize', 'notifications/initialized'])
    expect(upstreams.upstreams.find('unruly')?.status().probedAt).toBe(probedAt)
  })

  it('initialises a server that says nothing to server/discover', async () => {
    const clock = manualClock()
    const upstreams = open([stdioUpstream('unruly', { flags: ['--mute-discover'] })], { clock })
    const begun = converse(upstreams, 'unruly')
    await soon(() => upstreams.upstreams.find('unruly')?.status().processes).toBe(1)
    clock.advance(3_000)
    expect((await begun).about.revision).toBe('2025-11-25')
  })

  it('starts a server again that ends when it is asked anything before initialize', async () => {
    const upstreams = open([stdioUpstream('unruly', { flags: ['--exit-on-discover'] })])
    expect(await callText(await converse(upstreams, 'unruly'), 'echo')).toBe('{}')
    // What was asked and answered is no failure.
    expect(upstreams.upstreams.find('unruly')?.status()).toMatchObject({ state: 'up', restarts: 0 })
    expect(await callText(await converse(upstreams, 'unruly', { caller: callerOf('b') }), 'echo')).toBe('{}')
  })

  it.each(['2024-11-05', '2025-03-26', '2025-06-18'])(
    'takes a server that answers with revision %s at its word',
    async (revision) => {
      const upstreams = open([stdioUpstream('unruly', { flags: ['--revision', revision] })])
      expect((await converse(upstreams, 'unruly')).about.revision).toBe(revision)
    },
  )

  it('refuses a server of a revision that nobody knows', async () => {
    const upstreams = open([stdioUpstream('unruly', { flags: ['--revision', '2031-01-01'] })])
    await expect(converse(upstreams, 'unruly')).rejects.toMatchObject({ code: 'upstream_invalid' })
  })
})
