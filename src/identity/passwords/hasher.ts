import { randomBytes } from 'node:crypto'
import { availableParallelism } from 'node:os'
import type { hash, parseOptions, verify } from '@node-rs/argon2'
import type { Secret } from '../../lib/secret.ts'
import { WorkQueue } from './work-queue.ts'

/** What a new hash costs (RFC 9106 §3.1). */
export interface HashCost {
  /** KiB. */
  readonly memoryKb: number
  /** Passes. */
  readonly timeCost: number
  /** Threads. */
  readonly parallelism: number
}

export interface Verified {
  readonly matches: boolean
  /** The hash was made with other parameters than the ones that hold now. */
  readonly outdated: boolean
}

/**
 * Argon2id, off the event loop. libuv has four threads by default, which files and name look-ups share: one is
 * left to them, whatever the number of cores.
 */
const MOST_AT_ONCE = 3

/** Hashes that wait, at some 20 ms each; more would wait longer than a person does. */
const MOST_WAITING = 128

/** Of those, by one address: a flood from it leaves room for everybody else. */
const MOST_WAITING_PER_ADDRESS = 32

/** The number of `Argon2id` in the library's enum, which types alone cannot import. */
const ARGON2ID = 2

interface Argon2 {
  readonly hash: typeof hash
  readonly verify: typeof verify
  readonly parseOptions: typeof parseOptions
}

/** Makes and verifies password hashes, a bounded number at once. */
export class PasswordHasher {
  readonly #cost: HashCost
  readonly #queue: WorkQueue
  #library: Promise<Argon2> | undefined
  #dummy: Promise<string> | undefined

  constructor(cost: HashCost, atOnce = Math.min(availableParallelism(), MOST_AT_ONCE)) {
    this.#cost = cost
    this.#queue = new WorkQueue(Math.max(1, atOnce), MOST_WAITING, MOST_WAITING_PER_ADDRESS)
  }

  /** `null` where too much waits already: to be tried again in a moment. */
  async hash(password: Secret, address = ''): Promise<string | null> {
    const { hash } = await this.#load()
    const { memoryKb: memoryCost, timeCost, parallelism } = this.#cost
    const text = password.reveal()
    return await this.#queue.run(address, async () =>
      hash(text, { memoryCost, timeCost, parallelism, algorithm: ARGON2ID }),
    )
  }

  /**
   * Compares with a hash by that hash's own parameters. With `undefined`, for a user who does not exist, it works as
   * long on a hash that nothing matches. `null` as with `hash`, and where `wanted` says no once its turn has come.
   */
  async verify(
    password: Secret,
    stored: string | undefined,
    {
      address = '',
      wanted = () => true,
    }: { readonly address?: string; readonly wanted?: () => boolean } = {},
  ): Promise<Verified | null> {
    const { verify, parseOptions } = await this.#load()
    const against = stored ?? (await (this.#dummy ??= this.#makeDummy()))
    const text = password.reveal()
    return await this.#queue.run(address, async () => {
      if (!wanted()) return null
      const matches = await verify(against, text)
      if (stored === undefined) return { matches: false, outdated: false }
      return { matches, outdated: matches && !this.#isCurrent(parseOptions(stored)) }
    })
  }

  #isCurrent(made: ReturnType<Argon2['parseOptions']>): boolean {
    const { memoryKb, timeCost, parallelism } = this.#cost
    return (
      (made.algorithm as number) === ARGON2ID &&
      made.memoryCost === memoryKb &&
      made.timeCost === timeCost &&
      made.parallelism === parallelism
    )
  }

  async #makeDummy(): Promise<string> {
    const { hash } = await this.#load()
    const { memoryKb: memoryCost, timeCost, parallelism } = this.#cost
    return await hash(randomBytes(32), { memoryCost, timeCost, parallelism, algorithm: ARGON2ID })
  }

  #load(): Promise<Argon2> {
    return (this.#library ??= import('@node-rs/argon2'))
  }
}
