import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { manualClock } from '../../../test/support/clock.ts'
import { callerOf, controlParts } from '../../../test/support/http-parts.ts'
import type { Caller } from '../../identity/caller.ts'
import type { Grant } from '../../identity/grant.ts'
import { type Metrics, openMetrics } from '../../observe/metrics/open.ts'
import { createControlPlane } from '../control-plane.ts'

let metrics: Metrics
let parts: ReturnType<typeof controlParts>

beforeEach(() => {
  metrics = openMetrics({ version: '1.2.3' })
  parts = controlParts(manualClock())
})
afterEach(() => metrics.close())

const granted = (grant: Partial<Grant>): Caller => {
  const caller = callerOf('read-only')
  return { ...caller, grant: { ...caller.grant, ...grant } }
}

async function scrape(caller: Caller | undefined, accept = '*/*', on = true): Promise<Response> {
  const app = createControlPlane({ ...parts.parts, metrics: on ? metrics : null })
  return await app.request(
    '/metrics',
    { headers: { accept } },
    {
      caller,
      requestId: 'req-1',
      remoteAddress: '192.0.2.1',
      baseUrl: 'https://gate.example.org',
      begin() {
        throw new Error('no reply of this test is that long')
      },
      credentialShown: caller !== undefined,
      signal: new AbortController().signal,
      note: () => undefined,
    },
  )
}

describe('GET /metrics', () => {
  it.each(['*/*', 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5'])(
    'answers an administrator in the text format, and nothing else for Accept: %s',
    async (accept) => {
      const answer = await scrape(callerOf('admin'), accept)
      expect(answer.status).toBe(200)
      expect(answer.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
      const text = await answer.text()
      expect(text).toContain('postern_build_info{version="1.2.3"')
      expect(text).not.toContain('# EOF')
    },
  )

  it('answers a credential that was given the scope by name, and records the decision', async () => {
    expect((await scrape(granted({ scopes: ['metrics:read'] }))).status).toBe(200)
    expect(parts.events.at(-1)).toMatchObject({
      kind: 'decision',
      outcome: 'allow',
      action: 'metrics.read',
    })
  })

  it.each<[string, Partial<Grant>]>([
    ['every scope without naming any', { scopes: 'all' }],
    ['other scopes', { scopes: ['stats:read'] }],
    ['no scope', { scopes: [] }],
    ['a higher level, but not the highest', { scopes: 'all', level: 'read-write' }],
  ])('refuses a credential with %s, and says what is needed', async (_, grant) => {
    const refused = await scrape(granted(grant))
    expect(refused.status).toBe(403)
    expect(await refused.json()).toMatchObject({
      code: 'level_too_low',
      allowed: 'level admin, or the scope metrics:read given by name',
    })
  })

  it('asks for a credential', async () => {
    expect((await scrape(undefined)).status).toBe(401)
  })

  it('shows the names of all tenants to nobody of one of them', async () => {
    for (const grant of [{ level: 'admin' }, { scopes: ['metrics:read'] }] as const) {
      const refused = await scrape(granted({ ...grant, tenant: 'acme' }))
      expect(refused.status).toBe(403)
      expect(await refused.json()).toMatchObject({ code: 'tenant_not_allowed' })
    }
  })

  it('says so when metrics are switched off', async () => {
    const off = await scrape(callerOf('admin'), '*/*', false)
    expect(off.status).toBe(404)
    expect(await off.json()).toMatchObject({ message: 'metrics are switched off: set metrics.enabled' })
  })
})
