import { createHmac, createPublicKey, type JsonWebKey, verify } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { claimsOf, headerOf } from '../../support/jwt.ts'
import { ask, type Serving } from '../../support/postern.ts'
import { configuration, openRoom, type Room } from '../pgedge/room.ts'

const PASSWORD = 'correct horse battery staple'

interface KeySet {
  readonly keys: readonly (JsonWebKey & {
    readonly kid: string
    readonly use: string
    readonly alg: string
  })[]
}

interface Running {
  readonly room: Room
  readonly gateway: Serving
  readonly userId: string
  token(): Promise<{ readonly token: string; readonly expires_in: number }>
}

async function start(jwt: Readonly<Record<string, unknown>>): Promise<Running> {
  const room = await openRoom({
    'postern.yaml': configuration({ auth: { jwt, argon2: { memoryKb: 8_192, timeCost: 1 } } }),
  })
  const gateway = await room.serve()
  const args = ['user', 'add', '--username', 'alice', '--admin', '--password-stdin', '--json']
  const { stdout } = await room.run(args, `${PASSWORD}\n`)
  return {
    room,
    gateway,
    userId: (JSON.parse(stdout) as { id: string }).id,
    async token() {
      const json = { username: 'alice', password: PASSWORD }
      const { status, body } = await ask(`${gateway.url}/api/v1/auth/login`, null, { json })
      if (status !== 200) throw new Error(`${status} ${JSON.stringify(body)}`)
      return body as { token: string; expires_in: number }
    },
  }
}

const statusOf = async ({ gateway }: Running, token: string): Promise<number> =>
  (await ask(`${gateway.url}/api/v1/auth/me`, token)).status

const keysOf = async ({ gateway }: Running): Promise<KeySet['keys']> => {
  const { status, body, headers } = await ask(`${gateway.url}/.well-known/jwks.json`, null)
  expect(status).toBe(200)
  expect(headers.get('content-type')).toMatch(/^application\/json/)
  expect(headers.get('cache-control')).toBe('no-cache')
  return (body as KeySet).keys
}

describe('with nothing configured', () => {
  let here: Running
  let secret: Buffer
  beforeAll(async () => {
    here = await start({})
    secret = await readFile(here.room.path('.postern/jwt.secret'))
  })
  afterAll(() => here?.room.close())

  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
  /** With our own secret: what is wrong is the claims alone. */
  const signed = (header: unknown, claims: unknown): string => {
    const text = `${part(header)}.${part(claims)}`
    return `${text}.${createHmac('sha256', secret).update(text).digest('base64url')}`
  }

  it('X3 a JWT is HS256 with the bytes of the secret file, and has the claims of the document', async () => {
    const { token, expires_in: expiresIn } = await here.token()
    const before = Date.now() / 1_000
    const header = headerOf(token)
    const claims = claimsOf(token)
    expect(header).toEqual({ alg: 'HS256', typ: 'JWT', kid: expect.any(String) as string })
    expect(claims).toEqual({
      sub: here.userId,
      'postern.tenant_id': 'default',
      'postern.admin': true,
      'postern.epoch': 1,
      iat: expect.any(Number) as number,
      exp: (claims['iat'] as number) + 3_600,
      jti: expect.any(String) as string,
      iss: 'postern',
      aud: 'postern',
    })
    expect(claims['sub']).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/)
    expect(Math.abs((claims['iat'] as number) - before)).toBeLessThan(30)
    expect(expiresIn).toBe(3_600)
    const [head, body, signature] = token.split('.')
    expect(createHmac('sha256', secret).update(`${head}.${body}`).digest('base64url')).toBe(signature)
    expect(await statusOf(here, token)).toBe(200)
  })

  it('X3 a token without exp is refused, and one from the second of its exp on', async () => {
    const { token } = await here.token()
    const header = headerOf(token)
    const claims = claimsOf(token)
    const now = Math.floor(Date.now() / 1_000)
    const outcome = async (exp: unknown): Promise<number> =>
      await statusOf(here, signed(header, { ...claims, exp }))
    expect(await outcome(now + 600)).toBe(200)
    for (const exp of [undefined, null, 'never', now, now - 1, 0, -1]) expect(await outcome(exp)).toBe(401)
  })

  it('X3 the set of public keys is empty: a secret is for nobody', async () => {
    expect(await keysOf(here)).toEqual([])
  })
})

it('X3 life, namespace, issuer and audience are settings', async () => {
  const here = await start({
    ttlSeconds: 60,
    namespace: 'pharlux',
    issuer: 'https://postern.example',
    audience: 'shop',
  })
  try {
    const { token, expires_in: expiresIn } = await here.token()
    const claims = claimsOf(token)
    expect(expiresIn).toBe(60)
    expect(claims).toMatchObject({
      'pharlux.tenant_id': 'default',
      'pharlux.admin': true,
      iss: 'https://postern.example',
      aud: 'shop',
    })
    expect((claims['exp'] as number) - (claims['iat'] as number)).toBe(60)
    expect(await statusOf(here, token)).toBe(200)
  } finally {
    await here.room.close()
  }
})

describe.each(['RS256', 'EdDSA'] as const)('with auth.jwt.algorithm: %s', (algorithm) => {
  let here: Running
  beforeAll(async () => {
    here = await start({ algorithm })
  })
  afterAll(() => here?.room.close())

  it('X3 others verify a token with /.well-known/jwks.json and nothing else', async () => {
    const { token } = await here.token()
    const keys = await keysOf(here)
    const { kid, alg } = headerOf(token)
    expect(alg).toBe(algorithm)
    const jwk = keys.find((one) => one.kid === kid)
    expect(jwk).toMatchObject({ kid, use: 'sig', alg: algorithm, kty: algorithm === 'RS256' ? 'RSA' : 'OKP' })
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' })
    const [head = '', body = '', signature = ''] = token.split('.')
    const check = (text: string): boolean =>
      verify(
        algorithm === 'RS256' ? 'sha256' : null,
        Buffer.from(text),
        key,
        Buffer.from(signature, 'base64url'),
      )
    expect(check(`${head}.${body}`)).toBe(true)
    expect(check(`${head}.${body}x`)).toBe(false)
    expect(await statusOf(here, token)).toBe(200)
  })

  it('X3 the set holds no private part, and anybody may read it', async () => {
    const keys = await keysOf(here)
    const names =
      algorithm === 'RS256'
        ? ['alg', 'e', 'kid', 'kty', 'n', 'use']
        : ['alg', 'crv', 'kid', 'kty', 'use', 'x']
    for (const key of keys) expect(Object.keys(key).toSorted()).toEqual(names)
  })

  it('X3 a set read before and after a rotation verifies every token that is good', async () => {
    const { token: before } = await here.token()
    const first = await keysOf(here)
    expect((await here.room.run(['key-ring', 'rotate'])).code).toBe(0)
    const { token: after } = await expectNewKey(here, before)
    const second = await keysOf(here)
    expect(first.map(({ kid }) => kid)).toContain(headerOf(before)['kid'])
    expect(second.map(({ kid }) => kid)).toEqual(
      expect.arrayContaining([headerOf(before)['kid'], headerOf(after)['kid']]),
    )
    expect((await here.room.run(['key-ring', 'rotate', '--now'])).code).toBe(0)
    const { token: last } = await expectNewKey(here, after)
    expect((await keysOf(here)).map(({ kid }) => kid)).toEqual([headerOf(last)['kid']])
  })
})

/** The next token that is signed with another key than this one. */
async function expectNewKey(here: Running, old: string): ReturnType<Running['token']> {
  let fresh = await here.token()
  await expect
    .poll(
      async () => {
        fresh = await here.token()
        return headerOf(fresh.token)['kid']
      },
      { timeout: 20_000, interval: 20 },
    )
    .not.toBe(headerOf(old)['kid'])
  return fresh
}
