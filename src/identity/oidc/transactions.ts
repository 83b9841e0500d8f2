import { createHash, randomBytes } from 'node:crypto'
import type { Clock } from '../../lib/clock.ts'
import { digestsEqual, sha256Hex } from '../../lib/digest.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { Sealer } from '../../lib/seal.ts'
import { userRefusal, type UserRefusal } from '../users/user-refusal.ts'

/** A sign-in that is under way. It is kept by the browser that began it, sealed, and nowhere else. */
export interface Transaction {
  /** Goes to the provider and back (RFC 6749 §10.12). */
  readonly state: string
  /** Comes back inside the ID token (OpenID Connect Core 1.0 §3.1.2.1). */
  readonly nonce: string
  /** Of PKCE (RFC 7636 §4.1); never leaves Postern but to the token endpoint. */
  readonly verifier: string
  /** A path of this server to go on to. */
  readonly returnTo: string | null
  /** Milliseconds since the epoch. */
  readonly beganAt: number
}

export interface SealedTransaction {
  /** Names it among others of the same browser, without telling the state. */
  readonly id: string
  readonly sealed: string
}

/** From leaving for the provider to coming back: a person may look for a second factor. */
export const TRANSACTION_LIFE_MS = 10 * 60_000

/** 256 bits each; 43 characters, the least that RFC 7636 §4.1 takes for a verifier. */
const SECRET_BYTES = 32
const SECRET = /^[\w-]{43}$/

/** What the browser sends of one transaction is never longer. */
const LONGEST_SEALED = 2_048

/** Makes transactions, and opens what a browser sends back of them. */
export class Transactions {
  readonly #sealer: Sealer
  readonly #clock: Clock

  constructor(sealer: Sealer, clock: Clock) {
    this.#sealer = sealer
    this.#clock = clock
  }

  begin(
    provider: string,
    returnTo: string | null,
  ): SealedTransaction & { readonly transaction: Transaction } {
    const secret = (): string => randomBytes(SECRET_BYTES).toString('base64url')
    const transaction: Transaction = {
      state: secret(),
      nonce: secret(),
      verifier: secret(),
      returnTo,
      beganAt: this.#clock.now(),
    }
    const id = transactionId(transaction.state)
    return { id, sealed: this.#sealer.seal(JSON.stringify(transaction), placeOf(provider, id)), transaction }
  }

  /**
   * The transaction that an answer belongs to.
   *
   * @param sealedOf what this browser keeps under an id
   */
  open(
    provider: string,
    state: string | null,
    sealedOf: (id: string) => string | undefined,
  ): Result<Transaction, UserRefusal> {
    if (state === null || !SECRET.test(state)) return err(notOurs())
    const id = transactionId(state)
    const sealed = sealedOf(id)
    if (sealed === undefined || sealed.length > LONGEST_SEALED) return err(notOurs())
    // Sealed for one provider: the answer of another one cannot be passed off as its (RFC 9207 §1).
    const opened = this.#sealer.open(sealed, placeOf(provider, id))
    if (!opened.ok) return err(notOurs())
    const transaction = JSON.parse(opened.value) as Transaction
    if (!digestsEqual(transaction.state, state)) return err(notOurs())
    const age = this.#clock.now() - transaction.beganAt
    return age >= 0 && age <= TRANSACTION_LIFE_MS ? ok(transaction) : err(tooLate())
  }
}

export const transactionId = (state: string): string => sha256Hex(`transaction ${state}`).slice(0, 32)

/** RFC 7636 §4.2, `S256`. */
export const challengeOf = (verifier: string): string =>
  createHash('sha256').update(verifier).digest('base64url')

const placeOf = (provider: string, id: string): readonly string[] => ['oidc sign-in', provider, id]

/** The answer was made for another browser, or for nobody: somebody may want to sign another person in as themselves. */
const notOurs = (): UserRefusal =>
  userRefusal(
    'sign_in_failed',
    'oidc.browser',
    'this browser has not begun the sign-in that this is the answer to',
    {
      allowed: 'begin again, in this browser and at the address that this server is known by',
    },
  )

const tooLate = (): UserRefusal =>
  userRefusal('sign_in_failed', 'oidc.late', 'the sign-in took too long', { allowed: 'begin again' })
