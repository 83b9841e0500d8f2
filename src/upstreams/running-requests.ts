import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import { shareOf } from './share.ts'

/** As long as nobody else has used a server, whoever has it to themselves keeps all of it. */
const LATELY_MS = 600_000

/** Credentials that are remembered without running anything. */
const MOST_IDLE = 1_000

/** What runs of one credential. An object, so that a request changes a number and no table (see `Bag`). */
export interface CredentialShare {
  readonly credentialId: string
  count: number
}

/**
 * Counts the requests that run on one server, of all callers and on every way to it. A credential leaves a part of
 * them to others: always, or once another one has used the server.
 */
export class RunningRequests {
  readonly #server: string
  readonly #most: number
  readonly #clock: Clock
  readonly #leaves: 'always' | 'once shared'
  readonly #shares = new Map<string, CredentialShare>()
  #count = 0
  /** Who used the server last, and when that was somebody else than before. */
  #last: CredentialShare | undefined
  #sharedAt = Number.NEGATIVE_INFINITY

  constructor(server: string, most: number, clock: Clock, leaves: 'always' | 'once shared' = 'once shared') {
    this.#server = server
    this.#most = most
    this.#clock = clock
    this.#leaves = leaves
  }

  get count(): number {
    return this.#count
  }

  /** A credential uses the server, with or without a request that is counted. */
  used(credentialId: string): void {
    this.#shareOf(credentialId)
  }

  /**
   * To be followed by one `end` with what it answers.
   *
   * @throws Fault `upstream_busy`
   */
  begin(credentialId: string): CredentialShare {
    const share = this.#shareOf(credentialId)
    if (this.#count >= this.#most) throw this.#busy('no room for another request')
    if (share.count >= shareOf(this.#most) && this.#isShared(share))
      throw this.#busy('no room for another request of one credential, which leaves a part of it to others')
    this.#count += 1
    share.count += 1
    return share
  }

  end(share: CredentialShare): void {
    this.#count -= 1
    share.count -= 1
  }

  #isShared({ count }: CredentialShare): boolean {
    return this.#leaves === 'always' || this.#count > count || this.#clock.now() - this.#sharedAt < LATELY_MS
  }

  #shareOf(credentialId: string): CredentialShare {
    const last = this.#last
    if (last?.credentialId === credentialId) return last
    const share = this.#shares.get(credentialId) ?? this.#added(credentialId)
    if (last) this.#sharedAt = this.#clock.now()
    this.#last = share
    return share
  }

  #added(credentialId: string): CredentialShare {
    if (this.#shares.size >= MOST_IDLE)
      for (const [id, { count }] of this.#shares) if (count === 0) this.#shares.delete(id)
    const share = { credentialId, count: 0 }
    this.#shares.set(credentialId, share)
    return share
  }

  #busy(what: string): Fault {
    return new Fault('upstream_busy', `MCP server "${this.#server}" has ${what}. Try again in a moment.`, {
      retryAfterS: 1,
    })
  }
}
