import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { ask } from '../../support/postern.ts'
import { head, type RawReply, sendRaw } from '../../support/raw-http.ts'

/** The public list of this version: everything else needs a credential. */
const PUBLIC = ['/health', '/api/v1/health', '/.well-known/oauth-protected-resource'] as const

const MCP = ['/mcp', '/mcp/', '/mcp/v1', '/_mcp'] as const
const EVENTS = ['/sse', '/message', '/message?sessionId=1'] as const
const REST = [
  '/mcp/tools',
  '/mcp/tools/query_database',
  '/api/v1/query',
  '/api/v1/openapi.json',
  '/api/v1/access/explain',
  '/api/v1/admin/tokens',
  '/api/v1/admin/audit',
] as const
const UNKNOWN = [
  '/',
  '/nothing',
  '/api/v1/nothing',
  '/healthy',
  '/health/x',
  '/mcp/v2',
  '/console',
  '/metrics',
]

const METHODS = ['GET', 'POST', 'DELETE', 'PUT', 'PATCH', 'OPTIONS', 'HEAD'] as const

let gateway: RunningGateway
let good: string
let revoked: string

beforeAll(async () => {
  gateway = await startGateway()
  good = (await gateway.issue({ note: 'good' })).token
  const gone = await gateway.issue({ note: 'gone' })
  revoked = gone.token
  await ask(`${gateway.url}/api/v1/admin/tokens/${gone.id}`, gateway.admin, { method: 'DELETE' })
})
afterAll(async () => {
  await gateway.close()
})

type Spellings = Readonly<Record<string, (token: string) => readonly string[]>>

/** Every way to show a credential that must not be taken for one, with the reason that belongs in the log. */
const malformed: Spellings = {
  'no space and no credential': () => ['Authorization: Bearer'],
  'nothing after the space': () => ['Authorization: Bearer '],
  'an empty header': () => ['Authorization:'],
  'the scheme in small letters': (token) => [`Authorization: bearer ${token}`],
  'the scheme in capitals': (token) => [`Authorization: BEARER ${token}`],
  'two spaces': (token) => [`Authorization: Bearer  ${token}`],
  'a tab': (token) => [`Authorization: Bearer\t${token}`],
  'no space': (token) => [`Authorization: Bearer${token}`],
  'a colon': (token) => [`Authorization: Bearer: ${token}`],
  'extra words': (token) => [`Authorization: Bearer ${token} ${token}`],
  'an extra word in front': (token) => [`Authorization: Token Bearer ${token}`],
  'a parameter behind': (token) => [`Authorization: Bearer ${token}, realm="x"`],
  'the bare token': (token) => [`Authorization: ${token}`],
  'the token in quotes': (token) => [`Authorization: "Bearer ${token}"`],
  'another scheme': (token) => [`Authorization: Token ${token}`],
  'Basic, as curl -u sends it': (token) => [
    `Authorization: Basic ${Buffer.from(`x:${token}`).toString('base64')}`,
  ],
  'two headers, both good': (token) => [`Authorization: Bearer ${token}`, `Authorization: Bearer ${token}`],
  'letters outside ASCII': (token) => [`Authorization: Bearer ${token}é`],
  'a token longer than any': () => [`Authorization: Bearer ${'x'.repeat(5_000)}`],
}

const unknown: Spellings = {
  'one character less': (token) => [`Authorization: Bearer ${token.slice(0, -1)}`],
  'one character more': (token) => [`Authorization: Bearer ${token}A`],
  'another last character': (token) => [
    `Authorization: Bearer ${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`,
  ],
  'other capitals': (token) => [`Authorization: Bearer ${token.toLowerCase()}`],
  'quotes around the token': (token) => [`Authorization: Bearer "${token}"`],
  'a token of nobody': () => [`Authorization: Bearer pst_${'A'.repeat(43)}`],
  'a comma behind': (token) => [`Authorization: Bearer ${token},`],
  'SQL in its place': () => [`Authorization: Bearer '--`],
}

interface Misplaced {
  readonly query?: string
  readonly headers?: readonly string[]
}

/** The token where no credential belongs; the header is missing. */
const misplaced: Readonly<Record<string, (token: string) => Misplaced>> = {
  'nothing at all': () => ({}),
  'the query string, access_token': (token) => ({ query: `access_token=${token}` }),
  'the query string, token': (token) => ({ query: `token=${token}` }),
  'the query string, authorization': (token) => ({ query: `authorization=Bearer%20${token}` }),
  'the query string, api_key': (token) => ({ query: `api_key=${token}` }),
  'a header of another name': (token) => ({
    headers: [`X-API-Key: ${token}`, `Proxy-Authorization: Bearer ${token}`],
  }),
  'a cookie': (token) => ({ headers: [`Cookie: token=${token}; access_token=${token}`] }),
  'forwarded headers': (token) => ({
    headers: [`X-Forwarded-Authorization: Bearer ${token}`, 'X-Forwarded-User: admin'],
  }),
}

const send = (method: string, path: string, headers: readonly string[]): Promise<RawReply> =>
  sendRaw(gateway.port, head(`${method} ${path}`, ['Connection: close', ...headers]))

const bodyOf = (reply: RawReply): Record<string, unknown> => JSON.parse(reply.body) as Record<string, unknown>
const headerOf = (reply: RawReply, name: string): string | undefined =>
  new RegExp(`^${name}: (.*)$`, 'im').exec(reply.head)?.[1]

const MESSAGE = 'a valid credential is needed: send it as "Authorization: Bearer <token>"'

function expectRefused(reply: RawReply, method: string, path: string): void {
  expect(reply.status, `${method} ${path}`).toBe(401)
  const challenge = headerOf(reply, 'www-authenticate') ?? ''
  expect(challenge, `${method} ${path}`).toMatch(
    /^Bearer .*resource_metadata="http:\/\/127\.0\.0\.1:\d+\/\.well-known\/oauth-protected-resource\/[a-z_/0-9]+"/,
  )
  if (method === 'HEAD') return
  const { request_id: requestId, ...body } = bodyOf(reply)
  expect(body, `${method} ${path}`).toEqual({ error: 'unauthorized', message: MESSAGE, code: 'unauthorized' })
  expect(requestId).toBe(headerOf(reply, 'x-request-id'))
  expect(headerOf(reply, 'content-type')).toMatch(/^application\/json/)
}

describe('C1 a credential is needed', () => {
  it.each([...MCP, ...EVENTS, ...REST, ...UNKNOWN])(
    'C1 %s is refused without one, by any method',
    async (path) => {
      for (const method of METHODS) expectRefused(await send(method, path, []), method, path)
    },
  )

  it('C1 the same token in the right spelling is taken everywhere', async () => {
    for (const path of ['/mcp/tools', '/api/v1/openapi.json']) {
      expect((await send('GET', path, [`Authorization: Bearer ${good}`])).status).toBe(200)
    }
    // RFC 9110 §5.5: spaces around a header's value are not part of it.
    expect((await send('GET', '/mcp/tools', [`Authorization:   Bearer ${good}  `])).status).toBe(200)
    expect((await send('GET', '/nothing', [`Authorization: Bearer ${good}`])).status).toBe(404)
  })

  it.each(PUBLIC)('C1 %s answers anybody', async (path) => {
    expect((await send('GET', path, [])).status).toBe(200)
    expect((await send('HEAD', path, [])).status).toBe(200)
    // A bad credential opens nothing, and closes nothing that is open to anybody.
    const odd = await send('GET', path, ['Authorization: Bearer nobody'])
    expect(odd.status).toBe(200)
    expect(odd.body).not.toContain('databases')
  })

  it('C1 the metadata of each MCP address is public, that of the OAuth server says there is none', async () => {
    for (const path of ['/mcp', '/mcp/v1', '/_mcp', '/sse']) {
      const reply = await send('GET', `/.well-known/oauth-protected-resource${path}`, [])
      expect(bodyOf(reply)).toMatchObject({
        resource: `${gateway.url}${path}`,
        bearer_methods_supported: ['header'],
      })
    }
    const issuer = await send('GET', '/.well-known/oauth-authorization-server', [])
    expect(issuer.status).toBe(404)
    expect(bodyOf(issuer)).toMatchObject({ error: 'not_found', code: 'not_found' })
  })

  it('C1 the challenge of each MCP address names the metadata of that address', async () => {
    for (const path of ['/mcp', '/mcp/v1', '/_mcp', '/sse', '/message']) {
      const challenge = headerOf(await send('GET', path, []), 'www-authenticate') ?? ''
      const url = /resource_metadata="([^"]+)"/.exec(challenge)?.[1] ?? ''
      expect(new URL(url).pathname).toBe(`/.well-known/oauth-protected-resource${path}`)
      expect((await ask(url, null)).body).toMatchObject({ resource: `${gateway.url}${path}` })
    }
  })

  it('C1 a challenge says invalid_token exactly when something was shown (RFC 6750 §3.1)', async () => {
    expect(headerOf(await send('POST', '/mcp', []), 'www-authenticate')).not.toContain('error=')
    expect(headerOf(await send('POST', '/mcp', ['Authorization: x']), 'www-authenticate')).toContain(
      'error="invalid_token"',
    )
  })
})

const SOME: readonly (readonly [method: string, path: string])[] = [
  ['POST', '/mcp'],
  ['POST', '/mcp/v1'],
  ['GET', '/sse'],
  ['POST', '/message?sessionId=1'],
  ['POST', '/mcp/tools/query_database'],
  ['GET', '/api/v1/admin/tokens'],
  ['GET', '/nothing'],
]

describe('C1 what is not one credential in one spelling', () => {
  it.each(Object.keys(malformed))('C1 is refused: %s', async (name) => {
    const headers = malformed[name]?.(good) ?? []
    for (const [method, path] of SOME) expectRefused(await send(method, path, headers), method, path)
  })

  it.each(Object.keys(unknown))('C1 is refused: %s', async (name) => {
    const headers = unknown[name]?.(good) ?? []
    for (const [method, path] of SOME) expectRefused(await send(method, path, headers), method, path)
  })

  it.each(Object.keys(misplaced))('C1 a token does not count in %s', async (name) => {
    const { query, headers = [] } = misplaced[name]?.(good) ?? {}
    for (const [method, path] of SOME) {
      const target = query === undefined ? path : `${path}${path.includes('?') ? '&' : '?'}${query}`
      expectRefused(await send(method, target, headers), method, path)
    }
  })

  it('C1 is refused: the token as user or password of an absolute target', async () => {
    const reply = await send('GET', `http://x:${good}@localhost/mcp/tools`, [])
    expect(reply.status).toBeGreaterThanOrEqual(400)
    expect(reply.body).not.toContain(good)
  })

  it('C1 is refused in a body, too: nobody reads the body of a stranger', async () => {
    const body = JSON.stringify({ access_token: good, token: good, authorization: `Bearer ${good}` })
    for (const type of ['application/json', 'application/x-www-form-urlencoded']) {
      const text = type.endsWith('json') ? body : `access_token=${good}`
      const reply = await sendRaw(gateway.port, [
        head('POST /mcp/tools/query_database', [
          'Connection: close',
          `Content-Type: ${type}`,
          `Content-Length: ${text.length}`,
        ]),
        text,
      ])
      expectRefused(reply, 'POST', '/mcp/tools/query_database')
    }
  })

  it('C1 the answer is the same to the byte, whatever was wrong', async () => {
    const replies = new Set<string>()
    const wrong = [
      ...[...Object.values(malformed), ...Object.values(unknown)].map((spell) => spell(good)),
      [`Authorization: Bearer ${revoked}`],
    ]
    for (const headers of wrong) {
      const reply = await send('POST', '/mcp', headers)
      replies.add(reply.all.replaceAll(/[0-9a-f]{8}-[0-9a-f-]{27}/g, 'ID').replace(/^date: .*$/im, 'date'))
    }
    expect([...replies]).toHaveLength(1)
  })
})

describe('C1 the log', () => {
  it('C1 has the precise reason of each refusal, without the value', async () => {
    const root = `root-${'r'.repeat(32)}`
    const late = `late-${'l'.repeat(32)}`
    const fresh = await startGateway({
      admin: root,
      configuration: {
        auth: {
          tokens: {
            root: { value: root, level: 'admin' },
            late: { value: late, expiresAt: '2020-01-31T00:00:00Z' },
          },
        },
      },
    })
    try {
      const mine = (await fresh.issue({ note: 'mine' })).token
      const gone = await fresh.issue({ note: 'gone' })
      await ask(`${fresh.url}/api/v1/admin/tokens/${gone.id}`, fresh.admin, { method: 'DELETE' })
      const cases: readonly (readonly [reason: string, headers: readonly string[]])[] = [
        ['missing', []],
        ['malformed', [`Authorization: bearer ${mine}`]],
        ['malformed', [`Authorization: Bearer  ${mine}`]],
        ['malformed', [`Authorization: Bearer ${mine} x`]],
        ['malformed', [`Authorization: ${mine}`]],
        ['malformed', [`Authorization: Bearer ${mine}`, `Authorization: Bearer ${mine}`]],
        ['unknown', [`Authorization: Bearer ${mine}A`]],
        ['revoked', [`Authorization: Bearer ${gone.token}`]],
        ['expired', [`Authorization: Bearer ${late}`]],
      ]
      for (const [reason, headers] of cases) {
        const reply = await sendRaw(fresh.port, head('POST /mcp', ['Connection: close', ...headers]))
        const { request_id: id } = bodyOf(reply)
        await vi.waitFor(
          () => {
            expect(fresh.log().find((line) => line['request_id'] === id && 'reason' in line)).toMatchObject({
              msg: 'Authentication refused',
              reason,
              ...(reason === 'revoked' ? { credential_id: gone.id } : {}),
            })
          },
          { timeout: 20_000 },
        )
      }
      await vi.waitFor(
        async () => {
          const { body } = await ask(
            `${fresh.url}/api/v1/admin/audit?kind=authentication&outcome=refuse`,
            fresh.admin,
          )
          const rules = (body as { entries: { rule: string }[] }).entries.map(({ rule }) => rule)
          expect(rules.toSorted()).toEqual(cases.map(([reason]) => `credential.${reason}`).toSorted())
        },
        { timeout: 20_000 },
      )
      const everything = `${fresh.serving.stderr()}${fresh.serving.stdout()}`
      for (const value of [mine, gone.token, late, root]) expect(everything).not.toContain(value)
    } finally {
      await fresh.close()
    }
  })
})
