import { setTimeout as sleep } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
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
import type { AskAnswer, Conversation, Inbox } from '../conversation.ts'
import type { UpstreamOptions } from '../options.ts'
import type { UpstreamStatus } from '../status.ts'

const opened: TestUpstreams[] = []
function open(options: readonly UpstreamOptions[], more: Parameters<typeof openTestUpstreams>[1] = {}) {
  const upstreams = openTestUpstreams(options, more)
  opened.push(upstreams)
  return upstreams
}
afterEach(async () => {
  await Promise.all(opened.splice(0).map((one) => one.close()))
})

const statusOf = (upstreams: TestUpstreams, name = 'unruly'): UpstreamStatus | undefined =>
  upstreams.upstreams.find(name)?.status()

const kinds = (upstreams: TestUpstreams): readonly string[] => upstreams.observed.map(({ kind }) => kind)

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** What must not be reached by far: the flood is hundreds of times that. */
const MOST_GROWTH = 16 * 1_048_576

/** Bytes that are still needed: what waits to be collected says nothing. */
function memoryInUse(): number {
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** The slowest of calls one after another, for so long. */
async function slowest(conversation: Conversation, ms: number): Promise<number> {
  const until = performance.now() + ms
  let worst = 0
  for (let at = performance.now(); at < until;) {
    await callText(conversation, 'echo')
    const now = performance.now()
    worst = Math.max(worst, now - at)
    at = now
  }
  return worst
}

describe('F10 a stdio server that dies', () => {
  it('fails the calls that ran, tells the conversations once, and is started again after a while', async () => {
    const clock = manualClock()
    const upstreams = open([stdioUpstream('unruly')], { clock })
    const inbox = testInbox()
    const conversation = await converse(upstreams, 'unruly', { inbox })
    const running = [call(conversation, 'hang'), call(conversation, 'crash')]
    for (const one of running)
      await expect(one).rejects.toMatchObject({
        code: 'upstream_unavailable',
        message: 'MCP server "unruly" ended unexpectedly (exit code 7).',
      })
    expect(inbox.endings).toHaveLength(1)
    await expect(call(conversation, 'echo')).rejects.toMatchObject({ code: 'upstream_unavailable' })

    expect(statusOf(upstreams)).toMatchObject({
      state: 'failing',
      conversations: 0,
      running: 0,
      processes: 0,
      problem: 'MCP server "unruly" ended unexpectedly (exit code 7).',
    })
    expect(statusOf(upstreams)?.retryAt).toBeGreaterThan(clock.now())
    // While it waits nothing is started, and the answer comes at once.
    await expect(converse(upstreams, 'unruly')).rejects.toMatchObject({
      code: 'upstream_unavailable',
      retryAfterS: 1,
    })
    expect(statusOf(upstreams)?.processes).toBe(0)

    clock.advance(250)
    expect(await callText(await converse(upstreams, 'unruly'), 'echo')).toBe('{}')
    expect(statusOf(upstreams)).toMatchObject({ state: 'up', restarts: 1, retryAt: null, problem: null })
    expect(kinds(upstreams)).toEqual(['upstream.up', 'upstream.failing', 'upstream.restarted', 'upstream.up'])
  })

  it('waits longer each time, up to a minute, while it dies soon after it was started', async () => {
    const clock = manualClock()
    const upstreams = open([stdioUpstream('unruly')], { clock })
    const waits: number[] = []
    for (let n = 0; n < 5; n += 1) {
      const conversation = await converse(upstreams, 'unruly')
      await expect(call(conversation, 'crash')).rejects.toMatchObject({ code: 'upstream_unavailable' })
      const waitMs = (statusOf(upstreams)?.retryAt ?? 0) - clock.now()
      waits.push(waitMs)
      clock.advance(waitMs)
    }
    expect(waits.every((wait, n) => wait <= 250 * 2 ** n && wait >= 187 * 2 ** n)).toBe(true)
  })

  it('leaves other callers alone when the process of one dies', async () => {
    const upstreams = open([stdioUpstream('unruly')])
    const [mine, theirs] = [
      await converse(upstreams, 'unruly'),
      await converse(upstreams, 'unruly', { caller: callerOf('b') }),
    ]
    await expect(call(mine, 'crash')).rejects.toMatchObject({ code: 'upstream_unavailable' })
    expect(await callText(theirs, 'echo')).toBe('{}')
    // Also those who come now.
    expect(await callText(await converse(upstreams, 'unruly', { caller: callerOf('c') }), 'echo')).toBe('{}')
  })

  it('says which command cannot be started, without starting a storm of attempts', async () => {
    const upstreams = open([stdioUpstream('absent', { reach: { command: '/no/such/program' } })])
    await expect(converse(upstreams, 'absent')).rejects.toMatchObject({
      code: 'upstream_unavailable',
      message: 'MCP server "absent" could not be started (ENOENT): check its command and working directory.',
    })
    await expect(converse(upstreams, 'absent')).rejects.toMatchObject({ retryAfterS: 1 })
    expect(statusOf(upstreams, 'absent')).toMatchObject({ state: 'failing', processes: 0 })
  })

  it('says that a server ended before it answered', async () => {
    const upstreams = open([stdioUpstream('unruly', { flags: ['--exit'] })])
    await expect(converse(upstreams, 'unruly')).rejects.toMatchObject({
      code: 'upstream_unavailable',
      message: 'MCP server "unruly" ended unexpectedly (exit code 3).',
    })
  })

  it('passes on that a server refuses to begin', async () => {
    const upstreams = open([stdioUpstream('unruly', { flags: ['--refuse'] })])
    await expect(converse(upstreams, 'unruly')).rejects.toMatchObject({ code: 'upstream_invalid' })
    await soon(() => statusOf(upstreams)?.processes).toBe(0)
  })

  it('gives up on a server that never answers, and ends its process', async () => {
    const clock = manualClock()
    const upstreams = open([stdioUpstream('unruly', { flags: ['--silent'] })], { clock })
    const begun = converse(upstreams, 'unruly')
    begun.catch(() => undefined)
    await soon(() => statusOf(upstreams)?.processes).toBe(1)
    clock.advance(3_000)
    await sleep(0)
    clock.advance(17_000)
    await expect(begun).rejects.toMatchObject({ code: 'upstream_timeout' })
    expect(statusOf(upstreams)).toMatchObject({ state: 'failing', processes: 0 })
  })
})

describe('F10 a stdio server that does not answer', () => {
  it('ends a call when its time is over, cancels it, and drops the late answer', async () => {
    const clock = manualClock()
    const upstreams = open([stdioUpstream('unruly', { limits: { timeoutMs: 1_000 } })], { clock })
    const conversation = await converse(upstreams, 'unruly')
    const late = call(conversation, 'slow', { ms: 200 })
    late.catch(() => undefined)
    await callText(conversation, 'echo')
    clock.advance(1_000)
    await expect(late).rejects.toMatchObject({ code: 'upstream_timeout' })
    const cancelled = JSON.parse(await callText(conversation, 'cancelled')) as readonly unknown[]
    expect(cancelled).toHaveLength(1)
    await sleep(250)
    expect(await callText(conversation, 'echo')).toBe('{}')
    expect(statusOf(upstreams)).toMatchObject({ state: 'up', running: 0 })
  })

  it('does not count the time in which a person is asked', async () => {
    const clock = manualClock()
    const upstreams = open([stdioUpstream('unruly', { limits: { timeoutMs: 1_000 } })], { clock })
    const client = { ...CLIENT, capabilities: { elicitation: {} } }
    const conversation = await converse(upstreams, 'unruly', { client })
    const { promise: answer, resolve } = Promise.withResolvers<AskAnswer>()
    let asked = false
    const asking = callText(
      conversation,
      'ask',
      { method: 'elicitation/create' },
      {
        ask: () => {
          asked = true
          return answer
        },
      },
    )
    await soon(() => asked).toBe(true)
    clock.advance(3_600_000)
    resolve({ kind: 'result', result: { action: 'accept' } })
    expect(await asking).toBe('{"action":"accept"}')
  })

  it('replaces a process that was stopped, after requests in a row without a word from it', async () => {
    const clock = manualClock()
    const upstreams = open([stdioUpstream('unruly', { limits: { timeoutMs: 1_000 } })], { clock })
    const inbox = testInbox()
    const conversation = await converse(upstreams, 'unruly', { inbox })
    const pid = Number(await callText(conversation, 'pid'))
    process.kill(pid, 'SIGSTOP')
    for (let n = 0; n < 2; n += 1) {
      // Side by side they are one sign: a server may take long for all of them.
      const stuck = [call(conversation, 'echo'), call(conversation, 'echo'), call(conversation, 'echo')]
      for (const one of stuck) one.catch(() => undefined)
      await sleep(0)
      expect(inbox.endings).toEqual([])
      clock.advance(1_000)
      await expect(stuck[0]).rejects.toMatchObject({ code: 'upstream_timeout' })
      await Promise.allSettled(stuck)
    }
    expect(inbox.endings).toMatchObject([{ code: 'upstream_unavailable' }])
    await soon(() => isAlive(pid)).toBe(false)
    clock.advance(250)
    expect(Number(await callText(await converse(upstreams, 'unruly'), 'pid'))).not.toBe(pid)
  })

  it('does not keep what a stopped process does not take', async () => {
    const clock = manualClock()
    const upstreams = open([stdioUpstream('unruly', { limits: { concurrency: 1_000 } })], { clock })
    const conversation = await converse(upstreams, 'unruly')
    const pid = Number(await callText(conversation, 'pid'))
    process.kill(pid, 'SIGSTOP')
    const text = 'x'.repeat(1_048_576)
    const outcomes = Array.from({ length: 10 }, () =>
      call(conversation, 'echo', { text }).then(
        () => 'answered',
        (fault: { readonly code: string }) => fault.code,
      ),
    )
    expect(await Promise.race(outcomes.slice(6))).toBe('upstream_busy')
    process.kill(pid, 'SIGCONT')
    const all = await Promise.all(outcomes)
    expect(all.filter((outcome) => outcome === 'answered').length).toBeGreaterThan(2)
    expect(await callText(conversation, 'pid')).toBe(String(pid))
  })

  it('bounds the requests that run at once, of all callers', async () => {
    const upstreams = open([stdioUpstream('unruly', { limits: { concurrency: 2 } })])
    const [mine, theirs] = [
      await converse(upstreams, 'unruly'),
      await converse(upstreams, 'unruly', { caller: callerOf('b') }),
    ]
    const controller = new AbortController()
    const running = [mine, theirs].map((one) => call(one, 'hang', {}, { signal: controller.signal }))
    await expect(call(mine, 'echo')).rejects.toMatchObject({ code: 'upstream_busy', retryAfterS: 1 })
    expect(statusOf(upstreams)?.running).toBe(2)
    controller.abort(new Error('enough'))
    for (const one of running) await expect(one).rejects.toThrow('enough')
    expect(await callText(mine, 'echo')).toBe('{}')
  })
})

describe('F10 a stdio server that sends what is no message', () => {
  it('passes over a few lines of garbage, and says so in the log', async () => {
    const upstreams = open([stdioUpstream('unruly')])
    const conversation = await converse(upstreams, 'unruly')
    for (let n = 0; n < 3; n += 1)
      expect(await callText(conversation, 'garbage', { lines: 5 })).toBe('after garbage')
    expect(upstreams.observed).toContainEqual({
      kind: 'upstream.garbage',
      server: 'unruly',
      line: 'this is no message 4',
    })
  })

  it('ends one that sends nothing else', async () => {
    const upstreams = open([stdioUpstream('unruly')])
    const inbox = testInbox()
    const conversation = await converse(upstreams, 'unruly', { inbox })
    await expect(call(conversation, 'garbage', { lines: 1_000_000 })).rejects.toMatchObject({
      code: 'upstream_invalid',
      message: 'MCP server "unruly" sent 10 lines in a row that are no messages, and was ended.',
    })
    expect(inbox.endings).toHaveLength(1)
    expect(kinds(upstreams).filter((kind) => kind === 'upstream.garbage')).toHaveLength(10)
  })

  it('fails the one call whose answer is broken', async () => {
    const upstreams = open([stdioUpstream('unruly')])
    const conversation = await converse(upstreams, 'unruly')
    await expect(call(conversation, 'broken')).rejects.toMatchObject({ code: 'upstream_invalid' })
    expect(await callText(conversation, 'echo')).toBe('{}')
  })

  it('notices half a line at the end', async () => {
    const upstreams = open([stdioUpstream('unruly')])
    const conversation = await converse(upstreams, 'unruly')
    await expect(call(conversation, 'half')).rejects.toMatchObject({
      code: 'upstream_unavailable',
      message: 'MCP server "unruly" ended unexpectedly (exit code 0), in the middle of a message.',
    })
  })

  it('reads batches, which servers of old revisions send', async () => {
    const upstreams = open([stdioUpstream('unruly', { flags: ['--revision', '2025-03-26'] })])
    const inbox = testInbox()
    const conversation = await converse(upstreams, 'unruly', { inbox })
    await conversation.listen({ toolsListChanged: true })
    expect(await call(conversation, 'batch')).toEqual({ kind: 'result', result: { content: [] } })
    expect(inbox.notified).toEqual([{ method: 'notifications/tools/list_changed', params: {} }])
  })

  it('takes a message as large as is allowed, and ends a server that sends a larger one', async () => {
    const upstreams = open([stdioUpstream('unruly', { limits: { messageBytes: 1_048_576 } })])
    const conversation = await converse(upstreams, 'unruly')
    expect(await callText(conversation, 'big', { bytes: 1_000_000 })).toHaveLength(1_000_000)
    await expect(call(conversation, 'big', { bytes: 100 * 1_048_576 })).rejects.toMatchObject({
      code: 'upstream_invalid',
      message: 'MCP server "unruly" sent a line of more than 1048576 bytes, and was ended.',
    })
  })

  it('keeps no more than the bound of a line that never ends', async () => {
    const upstreams = open([stdioUpstream('unruly', { limits: { messageBytes: 4 * 1_048_576 } })])
    const conversation = await converse(upstreams, 'unruly')
    const before = memoryInUse()
    await expect(call(conversation, 'endless')).rejects.toMatchObject({ code: 'upstream_invalid' })
    expect(memoryInUse() - before).toBeLessThan(8 * 1_048_576)
  })
})

describe('F10 a stdio server that floods', () => {
  it.each([
    { bytes: 0, least: 2_000, most: 10_000 },
    { bytes: 100_000, least: 50, most: 600 },
  ])(
    'leaves a flood of notifications with $bytes bytes in the pipe: the others keep their latency, and memory does not grow',
    async ({ bytes, least, most }) => {
      const upstreams = open([stdioUpstream('unruly'), stdioUpstream('other')])
      let heard = 0
      const inbox: Inbox = {
        ...testInbox(),
        notification: () => {
          heard += 1
        },
      }
      const flooded = await converse(upstreams, 'unruly', { inbox })
      await flooded.listen({ toolsListChanged: true })
      const other = await converse(upstreams, 'other')
      await callText(other, 'echo')
      const before = memoryInUse()
      const controller = new AbortController()
      // Hours' worth at the speed at which it is read.
      const flood = call(flooded, 'flood', { count: 100_000_000, bytes }, { signal: controller.signal })
      flood.catch(() => undefined)
      expect(await slowest(other, 2_000)).toBeLessThan(250)
      // So much at once, and so much each second.
      expect(heard).toBeGreaterThan(least)
      expect(heard).toBeLessThan(most)
      // In flight at any moment may be a pipe, a chunk, a message and its text; the collector takes some of it only
      // after a turn of the event loop.
      await expect.poll(() => memoryInUse() - before, { timeout: 5_000 }).toBeLessThan(MOST_GROWTH)
      controller.abort(new Error('enough'))
    },
    20_000,
  )

  it('answers behind a flood that ends', async () => {
    const upstreams = open([stdioUpstream('unruly')])
    const conversation = await converse(upstreams, 'unruly')
    expect(await callText(conversation, 'flood', { count: 4_000 })).toBe('flooded')
  })

  it('does not slow down answers, however many', async () => {
    const upstreams = open([stdioUpstream('unruly')])
    const conversation = await converse(upstreams, 'unruly')
    const startedAt = performance.now()
    for (let n = 0; n < 5_000; n += 50)
      await Promise.all(Array.from({ length: 50 }, () => callText(conversation, 'echo')))
    // At the speed of unasked messages these would take 1.5 s of waiting alone.
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  })

  it('puts standard error into the log by line, cut and bounded, and counts what is left out', async () => {
    const upstreams = open([stdioUpstream('unruly')])
    const conversation = await converse(upstreams, 'unruly')
    await callText(conversation, 'stderr', { lines: 3, length: 10_000 })
    await soon(() => kinds(upstreams).filter((kind) => kind === 'upstream.stderr').length).toBe(3)
    const first = upstreams.observed.find(({ kind }) => kind === 'upstream.stderr')
    expect(first).toMatchObject({ server: 'unruly', line: expect.stringMatching(/^line 0 y+…$/) as string })
    expect(first?.kind === 'upstream.stderr' && first.line.length).toBe(4_097)

    await callText(conversation, 'stderr', { lines: 100_000 })
    // The count stands with the next line that there is room for.
    const dropped = async (): Promise<number> => {
      await callText(conversation, 'stderr', { lines: 1 })
      return upstreams.observed.reduce(
        (sum, one) => sum + (one.kind === 'upstream.stderr' ? (one.dropped ?? 0) : 0),
        0,
      )
    }
    await expect.poll(dropped, { timeout: 20_000, interval: 60 }).toBeGreaterThan(90_000)
    expect(kinds(upstreams).length).toBeLessThan(400)
  })
})
