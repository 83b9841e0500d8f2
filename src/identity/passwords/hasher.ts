import { randomBytes } from 'node:crypto'
import { availableParallelism, totalmem } from 'node:os'
import type { parseOptions } from '@node-rs/argon2'
import type { Secret } from '../../lib/secret.ts'
import { network } from '../network.ts'
import { type HashReply, HashThreads, type HashTask } from './hash-threads.ts'
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

/** More at once would be more memory for no more hashes than a person or a company needs. */
const MOST_AT_ONCE = 8

/** Of the machine's memory, what all hashes together may take. */
const MOST_MEMORY = 1 / 4

/** Hashes that wait, at some 20 ms each; more would wait longer than a person does. */
const MOST_WAITING = 128

/** Of those, by one address: a flood from it leaves room for everybody else. */
const MOST_WAITING_PER_ADDRESS = 32

/** The number of `Argon2id` in the library's enum, which types alone cannot import. */
const ARGON2ID = 2

/** One for each core, within bounds: the threads stand behind the event loop, so none is left out for it. */
export const hashesAtOnce = ({ memoryKb }: Pick<HashCost, 'memoryKb'>): number =>
  Math.max(
    1,
    Math.min(
      availableParallelism(),
      MOST_AT_ONCE,
      Math.floor((totalmem() * MOST_MEMORY) / (memoryKb * 1_024)),
    ),
  )

/** A hash in PHC form, of what nobody can know. Comparing with it is as much work as with any other. */
function dummyHash({ memoryKb, timeCost, parallelism }: HashCost): string {
  const [salt, hash] = [randomBytes(16), randomBytes(32)].map((bytes) =>
    bytes.toString('base64').replace(/=+$/, ''),
  )
  return `$argon2id$v=19$m=${memoryKb},t=${timeCost},p=${parallelism}$${salt}$${hash}`
}

/** Makes and verifies password hashes (Argon2id), off the event loop and a bounded number at once. */
export class PasswordHasher {
  readonly #cost: HashCost
  readonly #queue: WorkQueue
  readonly #threads = new HashThreads()
  readonly #dummy: string
  #parse: Promise<typeof parseOptions> | undefined

  constructor(cost: HashCost, atOnce = hashesAtOnce(cost)) {
    this.#cost = cost
    this.#dummy = dummyHash(cost)
    this.#queue = new WorkQueue(atOnce, MOST_WAITING, MOST_WAITING_PER_ADDRESS)
  }

  /** `null` where too much waits already: to be tried again in a moment. */
  async hash(password: Secret, address = ''): Promise<string | null> {
    return await this.#queue.run(network(address), async () => await this.#make(password.reveal()))
  }

  /**
   * Compares with a hash by that hash's own parameters. With `undefined`, for a user who does not exist or has no
   * password, it works as long on a hash that nothing matches. `null` as with `hash`, and where `wanted` says no once
   * its turn has come.
   */
  async verify(
    password: Secret,
    stored: string | undefined,
    {
      address = '',
      wanted = () => true,
    }: { readonly address?: string; readonly wanted?: () => boolean } = {},
  ): Promise<Verified | null> {
    const parse = await (this.#parse ??= import('@node-rs/argon2').then((library) => library.parseOptions))
    const own = stored === '' ? undefined : stored
    return await this.#queue.run(network(address), async () => {
      if (!wanted()) return null
      const matches = await this.#verify(password.reveal(), own ?? this.#dummy)
      if (own === undefined) return { matches: false, outdated: false }
      return { matches, outdated: matches && !this.#isCurrent(parse(own)) }
    })
  }

  async close(): Promise<void> {
    await this.#threads.close()
  }

  #isCurrent(made: ReturnType<typeof parseOptions>): boolean {
    const { memoryKb, timeCost, parallelism } = this.#cost
    return (
      (made.algorithm as number) === ARGON2ID &&
      made.memoryCost === memoryKb &&
      made.timeCost === timeCost &&
      made.parallelism === parallelism
    )
  }

  async #make(password: string): Promise<string> {
    const reply = await this.#run({ kind: 'hash', password, cost: this.#cost })
    if (!('hash' in reply)) throw new TypeError('a hash was asked for')
    return reply.hash
  }

  async #verify(password: string, hash: string): Promise<boolean> {
    const reply = await this.#run({ kind: 'verify', password, hash })
    if (!('matches' in reply)) throw new TypeError('a comparison was asked for')
    return reply.matches
  }

  async #run(task: HashTask): Promise<Exclude<HashReply, { readonly failed: string }>> {
    const reply = await this.#threads.run(task)
    if ('failed' in reply) throw new Error(`Argon2id: ${reply.failed}`)
    return reply
  }
}
