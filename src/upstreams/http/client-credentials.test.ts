import { afterEach, describe, expect, it } from 'vitest'
import { inspect } from 'node:util'
import { manualClock, type ManualClock } from '../../../test/support/clock.ts'
import { rawUpstream, type RawUpstream } from '../../../test/support/raw-upstream.ts'
import { soon } from '../../../test/support/soon.ts'
import { json } from '../../../test/support/upstreams/raw-mcp.ts'
import { Fault } from '../../lib/fault.ts'
import { Secret } from '../../lib/secret.ts'
import { openTokenSource, type TokenSource } from './client-credentials.ts'

const closing: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

interface Stage {
  readonly issuer: RawUpstream
  readonly clock: ManualClock
  readonly tokens: TokenSource
}

async function stage(answer: Parameters<typeof rawUpstream>[0]): Promise<Stage> {
  const issuer = await rawUpstream(answer)
  const clock = manualClock()
  const tokens = openTokenSource(
    {
      tokenUrl: `${issuer.origin}/oauth/token?tenant=1`,
      clientId: 'client',
      clientSecret: new Secret('hush-hush'),
      scopes: [],
      resource: null,
    },
    { server: 'raw', clock, timeoutMs: 5_000 },
  )
  closing.push(
    () => issuer.close(),
    () => tokens.close(),
  )
  return { issuer, clock, tokens }
}

const grants = (more: Record<string, unknown> = {}): Parameters<typeof rawUpstream>[0] => {
  let count = 0
  return (_request, response) => {
    count += 1
    json(response, { access_token: `token-${count}`, token_type: 'Bearer', expires_in: 600, ...more })
  }
}

const faultOf = async (promise: Promise<unknown>): Promise<Fault> => {
  const outcome = await promise.catch((error: unknown) => error)
  expect(outcome).toBeInstanceOf(Fault)
  return outcome as Fault
}

describe('tokens by client credentials', () => {
  it('are fetched once for all that ask at once, and kept until shortly before they end', async () => {
    const { issuer, clock, tokens } = await stage(grants())
    expect(tokens.current()).toBeUndefined()
    expect(await Promise.all([tokens.fetch(), tokens.fetch(), tokens.fetch()])).toEqual(
      Array.from({ length: 3 }, () => 'token-1'),
    )
    clock.advance(539_000)
    expect([tokens.current(), await tokens.fetch()]).toEqual(['token-1', 'token-1'])
    clock.advance(2_000)
    expect(tokens.current()).toBeUndefined()
    expect(await tokens.fetch()).toBe('token-2')
    expect(issuer.received.length).toBe(2)
    expect(issuer.received[0]).toMatchObject({
      method: 'POST',
      url: '/oauth/token?tenant=1',
      body: 'grant_type=client_credentials',
    })
  })

  it('are forgotten when the server refused them, unless there is a newer one', async () => {
    const { tokens } = await stage(grants())
    const first = await tokens.fetch()
    tokens.refused(first)
    expect(tokens.current()).toBeUndefined()
    const second = await tokens.fetch()
    tokens.refused(first)
    expect(tokens.current()).toBe(second)
  })

  it.each([
    ['a short life', { expires_in: 10 }, 8_900, 200],
    ['a life as text', { expires_in: '100' }, 89_000, 2_000],
    ['no word of its life', { expires_in: undefined }, 269_000, 2_000],
    ['an absurd life', { expires_in: 1e12 }, 86_339_000, 2_000],
  ])('are renewed in time with %s', async (_name, more, fresh, then) => {
    const { clock, tokens } = await stage(grants(more))
    await tokens.fetch()
    clock.jump(fresh)
    expect(tokens.current()).toBe('token-1')
    clock.jump(then)
    expect(tokens.current()).toBeUndefined()
  })

  it('are asked for in the other way where the server wants the secret in the body, from then on', async () => {
    const { issuer, tokens } = await stage((request, response) => {
      if (request.headers['authorization'] !== undefined) json(response, { error: 'invalid_client' }, 401)
      else json(response, { access_token: 'by-post', token_type: 'bearer' })
    })
    expect(await tokens.fetch()).toBe('by-post')
    tokens.refused('by-post')
    await tokens.fetch()
    expect(issuer.received.length).toBe(3)
    expect(issuer.received[2]?.body).toBe(
      'grant_type=client_credentials&client_id=client&client_secret=hush-hush',
    )
  })

  it.each([
    [
      'refuses the client',
      401,
      { error: 'invalid_client', error_description: 'hush-hush' },
      'upstream_unavailable',
    ],
    ['refuses the scope', 400, { error: 'invalid_scope' }, 'upstream_unavailable'],
    ['fails', 500, {}, 'upstream_unavailable'],
    ['redirects', 302, {}, 'upstream_unavailable'],
    ['wants fewer requests', 429, {}, 'upstream_busy'],
    ['gives nothing', 200, {}, 'upstream_invalid'],
    ['gives another kind of token', 200, { access_token: 'a', token_type: 'mac' }, 'upstream_invalid'],
    [
      'gives a token that breaks headers',
      200,
      { access_token: 'a\r\nb', token_type: 'Bearer' },
      'upstream_invalid',
    ],
    [
      'gives a token without end',
      200,
      { access_token: 'a'.repeat(9_000), token_type: 'Bearer' },
      'upstream_invalid',
    ],
    [
      'gives a flood',
      200,
      { access_token: 'a', token_type: 'Bearer', more: 'x'.repeat(70_000) },
      'upstream_invalid',
    ],
  ])(
    'are not to be had where the endpoint %s, and nothing of the secret is said',
    async (_name, status, body, code) => {
      const { issuer, clock, tokens } = await stage((_request, response) => void json(response, body, status))
      const fault = await faultOf(tokens.fetch())
      expect(fault.code).toBe(code)
      expect(fault.message).toContain('The token endpoint of MCP server "raw"')
      expect(inspect(fault, { depth: 5 })).not.toMatch(/hush-hush|127\.0\.0\.1/)
      const asked = issuer.received.length
      expect(await faultOf(tokens.fetch())).toBe(fault)
      expect(issuer.received.length).toBe(asked)
      clock.advance(2_001)
      await faultOf(tokens.fetch())
      expect(issuer.received.length).toBeGreaterThan(asked)
    },
  )

  it('are not waited for longer than a connection', async () => {
    const { issuer, clock, tokens } = await stage(() => undefined)
    const fault = faultOf(tokens.fetch())
    await soon(() => issuer.received.length).toBe(1)
    clock.advance(5_000)
    expect((await fault).code).toBe('upstream_timeout')
    await soon(() => issuer.connections).toBe(0)
  })
})
