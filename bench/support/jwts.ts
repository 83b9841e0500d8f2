import { join } from 'node:path'
import { uuidv7 } from 'uuidv7'
import { JWT_ALGORITHMS, type JwtAlgorithm } from '../../src/identity/jwt/algorithm.ts'
import { createKeyRing } from '../../src/identity/jwt/key-ring.ts'
import { keySourceOf } from '../../src/identity/jwt/options.ts'
import { readKeys } from '../../src/identity/jwt/read-keys.ts'
import { signJwt } from '../../src/identity/jwt/sign.ts'
import { openIdentity } from '../../src/identity/open.ts'
import type { PeopleOptions } from '../../src/identity/open-people.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { Secret } from '../../src/lib/secret.ts'
import { openStore } from '../../src/store/open.ts'

export interface JwtFigures {
  readonly algorithm: JwtAlgorithm
  readonly tokens: number
  /** Ten of them, over and over. */
  readonly cachedUs: number
  /** All of them in turn, so that nothing is in the processor's caches. */
  readonly cachedInTurnUs: number
  /** Seen for the first time: the signature, and the user in the store. */
  readonly uncachedUs: number
  readonly uncachedP99Us: number
}

export interface JwtPlan {
  readonly dir: string
  readonly sizes: readonly number[]
  readonly cachedCalls: number
  readonly rounds: number
}

/** At once, so that all cores sign. */
const SIGNED_AT_ONCE = 64

/** Each algorithm with each number of tokens, all of one user. */
export async function measureJwts(plan: JwtPlan): Promise<readonly JwtFigures[]> {
  const figures: JwtFigures[] = []
  for (const algorithm of JWT_ALGORITHMS) {
    const issued = await issue(plan.dir, algorithm, Math.max(...plan.sizes))
    for (const size of plan.sizes) figures.push(await measure(plan, algorithm, issued.slice(0, size)))
  }
  return figures
}

const optionsFor = (dir: string, algorithm: JwtAlgorithm): PeopleOptions => ({
  jwt: {
    algorithm,
    secretFile: join(dir, 'jwt.secret'),
    keyFile: join(dir, `jwt-${algorithm}.key`),
    namespace: 'postern',
    issuer: 'postern',
    audience: 'postern',
    ttlSeconds: 86_400,
  },
  argon2: { memoryKb: 64, timeCost: 1, parallelism: 1 },
  passwords: { minBytes: 12, refuseCommon: true },
})

async function open(dir: string, algorithm: JwtAlgorithm) {
  const observe = (): void => {}
  const store = await openStore(
    { kind: 'sqlite', file: join(dir, 'jwts.db') },
    { clock: systemClock, observe },
  )
  const identity = await openIdentity({
    store,
    staticTokens: [],
    tokenFile: null,
    enabled: true,
    clock: systemClock,
    observe,
    tenantDefault: 'default',
    people: optionsFor(dir, algorithm),
  })
  return {
    identity,
    async close() {
      await identity.close()
      await store.close()
    },
  }
}

/** Signs with the key of the gateway: as many sign-ins would take an hour of Argon2id. */
async function issue(dir: string, algorithm: JwtAlgorithm, count: number): Promise<readonly string[]> {
  const gateway = await open(dir, algorithm)
  const name = `user-${algorithm.toLowerCase()}`
  const added = await gateway.identity.people.users.add(
    { tenant: 'default', name, password: new Secret('correct horse battery staple'), role: 'reader' },
    { userId: null },
  )
  await gateway.close()
  if (!added.ok) throw new Error(added.error.message)
  const { jwt } = optionsFor(dir, algorithm)
  const keys = await readKeys(keySourceOf(jwt))
  if (!keys) throw new Error('no key')
  const ring = createKeyRing(keys.signing, [])
  const issuedAt = Math.floor(Date.now() / 1_000)
  const claims = { userId: added.value.id, tenant: 'default', admin: false, epoch: 1, issuedAt }
  const headers: string[] = []
  while (headers.length < count) {
    const batch = Array.from({ length: Math.min(SIGNED_AT_ONCE, count - headers.length) }, async () => {
      const token = await signJwt(
        { ...claims, jti: uuidv7(), expiresAt: issuedAt + jwt.ttlSeconds },
        ring,
        jwt,
      )
      return `Bearer ${token.reveal()}`
    })
    headers.push(...(await Promise.all(batch)))
  }
  return headers
}

async function measure(
  { dir, cachedCalls, rounds }: JwtPlan,
  algorithm: JwtAlgorithm,
  headers: readonly string[],
): Promise<JwtFigures> {
  const gateway = await open(dir, algorithm)
  const { authenticator } = gateway.identity
  await authenticator.authenticate('Bearer eyJ.warm-up.x')
  const samples: number[] = []
  for (const header of headers) {
    const startedAt = performance.now()
    const answer = await authenticator.authenticate(header)
    samples.push((performance.now() - startedAt) * 1_000)
    if (!answer.ok) throw new Error(answer.error.reason)
  }
  const cached = (some: readonly string[]): number => {
    // Processor time: what others do on the machine meanwhile is not ours.
    const run = (): number => {
      const before = process.cpuUsage()
      for (let i = 0; i < cachedCalls; i += 1) {
        const answer = authenticator.authenticate(some[i % some.length])
        if (answer instanceof Promise || !answer.ok) throw new Error('not cached')
      }
      const { user, system } = process.cpuUsage(before)
      return (user + system) / cachedCalls
    }
    run()
    return Math.min(...Array.from({ length: rounds }, run))
  }
  const figures = {
    algorithm,
    tokens: headers.length,
    cachedUs: cached(headers.slice(0, 10)),
    cachedInTurnUs: cached(headers),
    uncachedUs: quantile(samples, 0.5),
    uncachedP99Us: quantile(samples, 0.99),
  }
  await gateway.close()
  return figures
}

function quantile(samples: readonly number[], q: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0
}
