import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { manualClock, type ManualClock } from '../../test/support/clock.ts'
import { httpUpstream } from '../../test/support/upstreams/http-upstreams.ts'
import { rawSessionMcp } from '../../test/support/upstreams/raw-mcp.ts'
import {
  callerOf,
  CLIENT,
  openTestUpstreams,
  testInbox,
  type TestUpstreams,
} from '../../test/support/upstreams/stdio-upstreams.ts'

let clock: ManualClock
const opened: (() => Promise<unknown>)[] = []
beforeEach(() => {
  clock = manualClock()
})
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close()
})

/** Answers 503 to clients that say so. */
async function choosy(): Promise<TestUpstreams & { readonly asked: () => number }> {
  const server = await rawSessionMcp((message, response) => {
    if (!JSON.stringify(message.params).includes('refuse me')) return false
    response.writeHead(503).end()
    return true
  })
  opened.push(() => server.close())
  return { ...open(server.url), asked: () => server.messages.length }
}

function open(url: string): TestUpstreams {
  const upstreams = openTestUpstreams([httpUpstream('one', { url, transport: 'streamable' })], { clock })
  opened.push(() => upstreams.close())
  return upstreams
}

/** `ok`, or the code of the fault. */
async function begin({ upstreams }: TestUpstreams, id: string, name = 'kind'): Promise<string> {
  const upstream = upstreams.find('one')
  try {
    const client = { ...CLIENT, clientInfo: { name, version: '1' } }
    const begun = await upstream?.converse(callerOf(id), client, testInbox(), AbortSignal.timeout(10_000))
    if (begun?.ok !== true) return 'refused'
    begun.value.close()
    return 'ok'
  } catch (fault) {
    return fault instanceof Error && 'code' in fault ? String(fault.code) : String(fault)
  }
}

describe('the wait after a failure over HTTP', () => {
  it('is that of the credential whose request was refused', async () => {
    const upstreams = await choosy()
    expect(await begin(upstreams, 'a', 'refuse me')).toBe('upstream_unavailable')
    const asked = upstreams.asked()
    expect(await begin(upstreams, 'a')).toBe('upstream_unavailable')
    expect(upstreams.asked()).toBe(asked)
    expect(await begin(upstreams, 'b')).toBe('ok')
    clock.jump(1_000)
    expect(await begin(upstreams, 'a')).toBe('ok')
  })

  it('is everybody’s once two credentials say the same, and ends with the first that begins', async () => {
    const upstreams = await choosy()
    await begin(upstreams, 'a', 'refuse me')
    await begin(upstreams, 'b', 'refuse me')
    expect(await begin(upstreams, 'c')).toBe('upstream_unavailable')
    clock.jump(251)
    expect(await begin(upstreams, 'c')).toBe('ok')
    // Nothing is left of it: it takes two again, and the wait is the shortest.
    await begin(upstreams, 'a', 'refuse me')
    expect(await begin(upstreams, 'c')).toBe('ok')
    await begin(upstreams, 'd', 'refuse me')
    expect(await begin(upstreams, 'c')).toBe('ok')
    await begin(upstreams, 'e', 'refuse me')
    await begin(upstreams, 'f', 'refuse me')
    expect(await begin(upstreams, 'c')).toBe('upstream_unavailable')
    clock.jump(251)
    expect(await begin(upstreams, 'c')).toBe('ok')
  })

  it('is told with the first failure, as with those that follow', async () => {
    const { upstreams } = await choosy()
    const client = { ...CLIENT, clientInfo: { name: 'refuse me', version: '1' } }
    for (let n = 0; n < 2; n += 1)
      await expect(
        upstreams.find('one')?.converse(callerOf('a'), client, testInbox(), AbortSignal.timeout(10_000)),
      ).rejects.toMatchObject({ code: 'upstream_unavailable', retryAfterS: 1 })
  })

  it('is nobody else’s when two failures are far apart', async () => {
    const upstreams = await choosy()
    await begin(upstreams, 'a', 'refuse me')
    clock.jump(60_000)
    await begin(upstreams, 'b', 'refuse me')
    expect(await begin(upstreams, 'c')).toBe('ok')
  })

  it('is everybody’s when nobody can be connected', async () => {
    const gone = await rawSessionMcp(() => false)
    const { url } = gone
    await gone.close()
    const upstreams = open(url)
    expect(await begin(upstreams, 'a')).toBe('upstream_unavailable')
    const told = upstreams.observed.length
    expect(await begin(upstreams, 'b')).toBe('upstream_unavailable')
    // It was not even tried.
    expect(upstreams.observed.length).toBe(told)
  })
})
