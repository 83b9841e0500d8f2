import type { Clock } from '../../lib/clock.ts'
import { sha256Hex } from '../../lib/digest.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { sealer } from '../../lib/seal.ts'
import type { Observe } from '../../observe/observation.ts'
import { deleteRedeemedStatesBefore, redeemState } from '../../store/redeemed-states.ts'
import type { UserRow } from '../../store/users.ts'
import { AddressBuckets } from '../address-buckets.ts'
import type { IssuedJwt } from '../jwt/user-tokens.ts'
import { network } from '../network.ts'
import { WorkQueue } from '../passwords/work-queue.ts'
import type { Role } from '../users/user.ts'
import { userOfRow } from '../users/user-of-row.ts'
import { userRefusal, type UserRefusal } from '../users/user-refusal.ts'
import { admitPerson, type AdmitParts } from './admit-person.ts'
import { noSuchProvider } from './no-sign-in.ts'
import { readPerson } from './person.ts'
import { ProviderClient, type ProviderAnswer } from './provider-client.ts'
import type { OidcProvider } from './provider.ts'
import { type SealedTransaction, TRANSACTION_LIFE_MS, Transactions } from './transactions.ts'

export interface OidcOptions {
  readonly providers: readonly OidcProvider[]
  /** `SEALING_KEY_BYTES` bytes, of this purpose alone; the same in every process that shares the store. */
  readonly key: Uint8Array
}

export interface SignInParts extends AdmitParts {
  readonly clock: Clock
  readonly observe: Observe
  readonly issue: (row: UserRow) => Promise<IssuedJwt>
}

export interface BeginInput {
  /** Where the request comes from. */
  readonly address: string
  /** Where the provider sends the browser back to. */
  readonly redirectUri: string
  /** A path of this server to go on to. */
  readonly returnTo: string | null
}

/** A browser is to keep the transaction, and to go there. */
export interface Begun extends SealedTransaction {
  readonly location: string
}

export interface CompleteInput {
  readonly address: string
  readonly redirectUri: string
  readonly answer: ProviderAnswer & { readonly state: string | null }
  /** What the browser keeps of a transaction. */
  readonly sealedOf: (id: string) => string | undefined
}

export interface SignedIn {
  readonly jwt: IssuedJwt
  readonly username: string
  readonly role: Role
  readonly tenant: string
  readonly returnTo: string | null
}

/** Sign-in with the providers of the configuration. */
export interface SignIn {
  list(): readonly Pick<OidcProvider, 'name' | 'title'>[]
  /** @throws Fault `provider_unavailable`, `provider_invalid` */
  begin(provider: string, input: BeginInput): Promise<Result<Begun, UserRefusal>>
  /**
   * Takes the provider's answer, once.
   *
   * @throws Fault `provider_unavailable`, `provider_invalid`, `store_unavailable`
   */
  complete(provider: string, input: CompleteInput): Promise<Result<SignedIn, UserRefusal>>
  close(): Promise<void>
}

/** Sign-ins that one address may begin at once; then one more each second. */
const BEGUN = { burst: 60, refillMs: 1_000 }

/** Answers of one address that came to nothing after the provider was asked; then one more every ten seconds. */
const FAILED = { burst: 50, refillMs: 10_000 }

/** Answers that are worked on at once; what is more waits, of one address no more than eight. */
const AT_ONCE = 16
const WAITING = 64
const WAITING_PER_ADDRESS = 8

/** How often redeemed states are forgotten that no answer can name any more. */
const CLEAN_EVERY_MS = 60_000

export function createSignIn({ providers, key }: OidcOptions, parts: SignInParts): SignIn {
  const { store, clock, observe } = parts
  const clients = new Map(
    providers.map((provider) => [
      provider.name,
      { provider, client: new ProviderClient(provider, clock, observe) },
    ]),
  )
  const transactions = new Transactions(sealer(key), clock)
  const begun = new AddressBuckets(clock, BEGUN.burst, BEGUN.refillMs)
  const failed = new AddressBuckets(clock, FAILED.burst, FAILED.refillMs)
  const queue = new WorkQueue(AT_ONCE, WAITING, WAITING_PER_ADDRESS)
  let cleanAt = 0

  /** Of two answers to one sign-in the first counts, on whatever replica it arrives. */
  const redeem = async (state: string): Promise<boolean> => {
    const now = clock.now()
    return await store.db.transaction().execute(async (trx) => {
      if (now >= cleanAt) {
        cleanAt = now + CLEAN_EVERY_MS
        await deleteRedeemedStatesBefore(trx, now)
      }
      // Twice the life: the clocks of replicas may differ.
      return await redeemState(trx, sha256Hex(state), now + 2 * TRANSACTION_LIFE_MS)
    })
  }

  return {
    list: () => providers.map(({ name, title }) => ({ name, title })),

    async begin(name, { address, redirectUri, returnTo }) {
      const known = clients.get(name)
      if (!known) return err(noSuchProvider())
      const waitMs = begun.waitMs(address)
      if (waitMs > 0) return err(tooMany('oidc.begun', waitMs))
      begun.count(address)
      const { transaction, ...kept } = transactions.begin(name, returnTo)
      return ok({ ...kept, location: await known.client.authorizationUrl(transaction, redirectUri) })
    },

    async complete(name, { address, redirectUri, answer, sealedOf }) {
      const known = clients.get(name)
      if (!known) return err(noSuchProvider())
      const { provider, client } = known
      // What is not of this browser costs nothing and counts as nothing: any page could make it send some.
      const opened = transactions.open(name, answer.state, sealedOf)
      if (!opened.ok) return opened
      const transaction = opened.value
      const waitMs = failed.waitMs(address)
      if (waitMs > 0) return err(tooMany('oidc.failed', waitMs))
      const done = await queue.run(network(address), async (): Promise<Result<SignedIn, UserRefusal>> => {
        if (!(await redeem(transaction.state))) return err(usedBefore())
        const claims = await client.claims(answer, transaction, redirectUri)
        if (!claims.ok) return claims
        const person = readPerson(claims.value, provider)
        if (!person.ok) return person
        const row = await admitPerson(parts, provider, person.value)
        if (!row.ok) return row
        const { name: username, role, tenant } = userOfRow(row.value)
        return ok({
          jwt: await parts.issue(row.value),
          username,
          role,
          tenant,
          returnTo: transaction.returnTo,
        })
      })
      if (done === null) return err(tooMany('oidc.busy', 2_000))
      if (!done.ok) failed.count(address)
      return done
    },

    async close() {
      await Promise.all([...clients.values()].map(({ client }) => client.close()))
    },
  }
}

const usedBefore = (): UserRefusal =>
  userRefusal('sign_in_failed', 'oidc.used', 'this answer of the provider was used before', {
    allowed: 'begin again',
  })

const tooMany = (rule: string, waitMs: number): UserRefusal =>
  userRefusal('too_many_requests', rule, 'too many sign-ins at the moment: wait, then try again', {
    retryAfterS: Math.max(1, Math.ceil(waitMs / 1_000)),
  })
