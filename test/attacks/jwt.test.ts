import { createHmac, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Secret } from '../../src/lib/secret.ts'
import { manualClock, type ManualClock } from '../support/clock.ts'
import { openTestIdentity, temporaryDirectory, type TestIdentity } from '../support/identity.ts'

type Json = Readonly<Record<string, unknown>>

const PASSWORD = new Secret('correct horse battery staple')

let scratch: Awaited<ReturnType<typeof temporaryDirectory>>
let clock: ManualClock
let here: TestIdentity
let secret: Buffer
/** The header and the claims of a good token: each attack changes one thing. */
let header: Json
let claims: Json

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const hmac = (text: string, key: Buffer | string = secret, hash = 'sha256'): string =>
  createHmac(hash, key).update(text).digest('base64url')
const parse = (text = ''): Json => JSON.parse(Buffer.from(text, 'base64url').toString()) as Json

/** A token with our own signature, whatever it says. */
const forge = (changedHeader: Json = {}, changedClaims: Json = {}): string => {
  const text = `${part({ ...header, ...changedHeader })}.${part({ ...claims, ...changedClaims })}`
  return `${text}.${hmac(text)}`
}

const outcome = async (token: string): Promise<string> => {
  const answer = await here.authenticate(token)
  return answer.ok ? 'let in' : answer.error.reason
}

beforeAll(async () => {
  scratch = await temporaryDirectory()
  clock = manualClock()
  const secretFile = join(scratch.path, 'jwt.secret')
  here = await openTestIdentity({ kind: 'sqlite', file: join(scratch.path, 'postern.db') }, clock, {
    people: {
      jwt: { secretFile, namespace: 'postern', issuer: 'postern', audience: 'postern', ttlSeconds: 3_600 },
      argon2: { memoryKb: 64, timeCost: 1, parallelism: 1 },
      passwords: { minBytes: 12, refuseCommon: true },
    },
  })
  const { people } = here.identity
  await people?.users.add(
    { tenant: 'default', name: 'alice', password: PASSWORD, role: 'reader' },
    { userId: null },
  )
  const signedIn = await people?.login({ name: 'alice', password: PASSWORD, address: '192.0.2.1' })
  if (!signedIn?.ok) throw new Error('not signed in')
  secret = await readFile(secretFile)
  const [head, body] = signedIn.value.token.reveal().split('.')
  header = parse(head)
  claims = parse(body)
})

afterAll(async () => {
  await here?.close()
  await scratch?.remove()
})

it('lets the unchanged token in: otherwise nothing below would show anything', async () => {
  expect(await outcome(forge())).toBe('let in')
})

it('refuses a token without a signature, in every spelling of alg: none', async () => {
  for (const alg of ['none', 'None', 'NONE', 'nOnE', '']) {
    const text = `${part({ ...header, alg })}.${part(claims)}`
    expect(await outcome(`${text}.`), alg).toBe('unknown')
    expect(await outcome(`${text}.${hmac(text)}`), alg).toBe('unknown')
  }
  expect(await outcome(`${part(header)}.${part(claims)}.`)).toBe('unknown')
})

it('refuses other algorithms with the same key', async () => {
  for (const [alg, hash] of [
    ['HS384', 'sha384'],
    ['HS512', 'sha512'],
  ] as const) {
    const text = `${part({ ...header, alg })}.${part(claims)}`
    expect(await outcome(`${text}.${hmac(text, secret, hash)}`)).toBe('unknown')
  }
})

it('refuses a key of the sender: another kind of key, embedded, or somewhere else', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })
  const jwk = publicKey.export({ format: 'jwk' })
  for (const more of [
    {},
    { jwk },
    { jku: 'http://127.0.0.1:9/keys.json' },
    { x5u: 'http://127.0.0.1:9/cert.pem' },
    { x5c: ['AAAA'] },
  ]) {
    const text = `${part({ ...header, alg: 'RS256', ...more })}.${part(claims)}`
    expect(
      await outcome(`${text}.${sign('sha256', Buffer.from(text), privateKey).toString('base64url')}`),
    ).toBe('unknown')
  }
  const own = randomBytes(64)
  const text = `${part({ ...header, jwk: { kty: 'oct', k: own.toString('base64url') } })}.${part(claims)}`
  expect(await outcome(`${text}.${hmac(text, own)}`)).toBe('unknown')
})

it('takes a kid for a name and nothing else', async () => {
  for (const kid of [
    undefined,
    '',
    null,
    7,
    ['x'],
    '../../../../dev/null',
    '/dev/null',
    "' UNION SELECT 'x",
    '__proto__',
    'constructor',
    'x'.repeat(2_000),
  ]) {
    const text = `${part({ ...header, kid })}.${part(claims)}`
    for (const key of [secret, Buffer.alloc(64), '']) {
      expect(await outcome(`${text}.${hmac(text, key)}`), String(kid)).toBe('unknown')
    }
  }
})

it('refuses a critical extension that it does not know (RFC 7515 §4.1.11)', async () => {
  expect(await outcome(forge({ crit: ['exp'] }))).toBe('unknown')
  expect(await outcome(forge({ crit: ['b64'], b64: false }))).toBe('unknown')
})

it('refuses another type, issuer or audience', async () => {
  for (const typ of ['at+jwt', 'JWE', '', 7, null, undefined])
    expect(await outcome(forge({ typ }))).toBe('unknown')
  for (const iss of ['other', '', ['postern'], null, undefined]) {
    expect(await outcome(forge({}, { iss }))).toBe('unknown')
  }
  for (const aud of ['other', '', [], ['postern', 'other'], null, undefined]) {
    expect(await outcome(forge({}, { aud }))).toBe('unknown')
  }
})

it('refuses a token without an end, and one that ended this second', async () => {
  const now = clock.now() / 1_000
  for (const exp of [undefined, null, 'never', '9999999999', Infinity, -1]) {
    expect(await outcome(forge({}, { exp })), String(exp)).not.toBe('let in')
  }
  expect(await outcome(forge({}, { exp: now }))).toBe('expired')
  expect(await outcome(forge({}, { exp: now - 1 }))).toBe('expired')
  expect(await outcome(forge({}, { exp: now + 1 }))).toBe('let in')
  expect(await outcome(forge({}, { nbf: now + 60 }))).toBe('unknown')
})

it('refuses a token that lacks what every one of ours has, or has it in another form', async () => {
  for (const name of ['sub', 'jti', 'iat', 'postern.tenant_id', 'postern.admin', 'postern.epoch']) {
    for (const value of [undefined, null, {}, ['x']]) {
      expect(await outcome(forge({}, { [name]: value })), name).toBe('unknown')
    }
  }
})

it('refuses what was changed after it was signed', async () => {
  const [head, body, signature = ''] = forge().split('.')
  const admin = part({ ...claims, 'postern.admin': true })
  for (const token of [
    `${head}.${admin}.${signature}`,
    `${head}.${body}.${signature.slice(0, -4)}`,
    `${head}.${body}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
    `${head}.${body}.${signature}.x`,
    `${head}..${signature}`,
  ]) {
    expect(await outcome(token)).toBe('unknown')
  }
})

it('takes level and tenant from the store: a signed claim cannot raise them', async () => {
  const answer = await here.authenticate(forge({}, { 'postern.admin': true, jti: 'another' }))
  expect(answer.ok && answer.value.grant.level).toBe('read-only')
  expect(await outcome(forge({}, { 'postern.tenant_id': 'other', jti: 'a-third' }))).toBe('revoked')
  expect(await outcome(forge({}, { 'postern.epoch': 2, jti: 'a-fourth' }))).toBe('revoked')
  expect(await outcome(forge({}, { sub: '01938a6c-0000-7000-8000-000000000000', jti: 'a-fifth' }))).toBe(
    'revoked',
  )
})

it('is not brought down by nonsense', async () => {
  for (const token of [
    'eyJ.eyJ.eyJ',
    'eyJhbGciOiJIUzI1NiJ9.e30.',
    `eyJ${'A'.repeat(4_000)}.A.A`,
    `${part({ ...header, alg: ['HS256'] })}.${part(claims)}.AAAA`,
    `${Buffer.from('{"alg":"HS256","alg":"none"}').toString('base64url')}.${part(claims)}.AAAA`,
  ]) {
    expect(await outcome(token)).toBe('unknown')
  }
})
