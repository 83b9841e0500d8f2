import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { End } from '../../src/identity/lifelines.ts'
import type { JwtAlgorithm } from '../../src/identity/jwt/algorithm.ts'
import { type JwtOptions, keySourceOf } from '../../src/identity/jwt/options.ts'
import type { KeySource } from '../../src/identity/jwt/read-keys.ts'
import type { People, PeopleOptions } from '../../src/identity/open-people.ts'
import type { Clock } from '../../src/lib/clock.ts'
import { Secret } from '../../src/lib/secret.ts'
import { openTestIdentity, temporaryDirectory, type TestIdentity } from './identity.ts'

const PASSWORD = new Secret('correct horse battery staple')

/** Replicas on one store that share the files of their keys, with one user, `alice`. */
export interface JwtRoom {
  readonly dir: string
  readonly source: KeySource
  open(clock: Clock, change?: Partial<JwtOptions>): Promise<JwtReplica>
  /** A folder and a store of its own for each test is cheap; this ends them all. */
  close(): Promise<void>
}

export interface JwtReplica extends TestIdentity {
  readonly people: People
  /** Signs alice in. */
  signIn(): Promise<string>
  /** Holds something open with a token; answers why it was ended, once it was. */
  hold(token: string): Promise<() => Parameters<End>[0] | undefined>
  /** `let in`, or why not. */
  outcome(token: string): Promise<string>
}

export async function openJwtRoom(algorithm: JwtAlgorithm): Promise<JwtRoom> {
  const { path: dir } = await temporaryDirectory()
  const jwt: JwtOptions = {
    algorithm,
    secretFile: join(dir, 'jwt.secret'),
    keyFile: join(dir, 'jwt.key'),
    namespace: 'postern',
    issuer: 'postern',
    audience: 'postern',
    ttlSeconds: 3_600,
  }
  const opened: TestIdentity[] = []
  return {
    dir,
    source: keySourceOf(jwt),
    async open(clock, change = {}) {
      const people: PeopleOptions = {
        jwt: { ...jwt, ...change },
        // Cheap hashes: what they cost is measured elsewhere.
        argon2: { memoryKb: 64, timeCost: 1, parallelism: 1 },
        passwords: { minBytes: 12, refuseCommon: true },
      }
      const here = await openTestIdentity({ kind: 'sqlite', file: join(dir, 'postern.db') }, clock, {
        people,
      })
      opened.push(here)
      return await replica(here)
    },
    async close() {
      for (const one of opened.splice(0)) await one.close()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

async function replica(here: TestIdentity): Promise<JwtReplica> {
  const { people, lifelines } = here.identity
  if (!people) throw new Error('nobody signs in')
  // Whoever comes second finds the name taken.
  await people.users.add(
    { tenant: 'default', name: 'alice', password: PASSWORD, role: 'reader' },
    { userId: null },
  )
  return {
    ...here,
    people,
    async signIn() {
      const answer = await people.login({ name: 'alice', password: PASSWORD, address: '192.0.2.1' })
      if (!answer.ok) throw new Error(answer.error.rule)
      return answer.value.token.reveal()
    },
    async hold(token) {
      const answer = await here.authenticate(token)
      if (!answer.ok) throw new Error(answer.error.reason)
      let ended: Parameters<End>[0] | undefined
      lifelines.hold(answer.value.credential.id, (reason) => {
        ended = reason
      })
      return () => ended
    },
    async outcome(token) {
      const answer = await here.authenticate(token)
      return answer.ok ? 'let in' : answer.error.reason
    },
  }
}

type Json = Readonly<Record<string, unknown>>

const decode = (part = ''): Json => JSON.parse(Buffer.from(part, 'base64url').toString()) as Json

/** What a JWT says, unverified. */
export const headerOf = (token: string): Json => decode(token.split('.')[0])
export const claimsOf = (token: string): Json => decode(token.split('.')[1])
