import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import { systemCode } from '../../lib/system-code.ts'
import type { Observe } from '../../observe/observation.ts'
import { Watch } from '../files/watch.ts'
import { dropExpiredKeys } from './drop-expired-keys.ts'
import { createKeyRing, type KeyRing } from './key-ring.ts'
import { SECRET_BYTES } from './key.ts'
import { makeKeyFile } from './make-key-file.ts'
import {
  keyFileName,
  KeyFileProblem,
  type KeysOnDisk,
  type KeySource,
  readKeys,
  ringFileOf,
  stampOfKeys,
} from './read-keys.ts'

/** How long both files must stay unchanged before they are read. Milliseconds. */
const SETTLE_MS = 15

/** What is not good is complained about when it has stayed for this long. Milliseconds. */
const COMPLAIN_AFTER_MS = 250

/** How often somebody unknown can have the files looked at. Milliseconds. */
const REFRESH_EVERY_MS = 50

/** At the start, files may be caught in the middle of a rotation. */
const FIRST_READ_ATTEMPTS = 20
const FIRST_READ_RETRY_MS = 25

/** The keys in force, as whoever signs and verifies needs them. */
export interface JwtKeys {
  readonly ring: KeyRing
  /** Calls `taken` whenever other keys are in force. */
  watch(taken: () => void): Promise<void>
  /** Looks at once, because somebody shows a key that is not known here. Answers whether others are in force now. */
  refresh(): Promise<boolean>
  close(): Promise<void>
}

/**
 * The key that signs and the ring beside it: read, watched, taken over whole. What cannot be used changes nothing, and
 * the log says why.
 */
export class KeyFiles implements JwtKeys {
  readonly #source: KeySource
  readonly #clock: Clock
  readonly #observe: Observe
  #ring: KeyRing
  #taken: () => void = () => {}
  #inode: string
  /** The last look that was dealt with, and the one that waits to settle. */
  #done: string
  #seen: { readonly text: string; readonly since: number } | undefined
  #refreshedAt = 0
  #watch: Watch | undefined
  #turn: Promise<unknown> = Promise.resolve()
  #cancelExpiry: (() => void) | undefined
  #dropping: Promise<unknown> = Promise.resolve()
  #closed = false

  /**
   * Makes the key, with a warning, where there is none.
   *
   * @throws Fault `config_invalid` when others may read it, or it cannot be used; `data_dir_unusable` when it cannot be
   *   made
   */
  static async open(
    source: KeySource,
    parts: { readonly clock: Clock; readonly observe: Observe },
  ): Promise<KeyFiles> {
    const { keys, made } = await openKeys(source)
    if (made) {
      const message = `made ${keyFileName(source)} ${source.file}, because there was none: whoever signed in before signs in again`
      parts.observe({ kind: 'config.warning', message })
    }
    return new KeyFiles(source, keys, parts)
  }

  private constructor(
    source: KeySource,
    keys: KeysOnDisk,
    parts: { readonly clock: Clock; readonly observe: Observe },
  ) {
    this.#source = source
    this.#clock = parts.clock
    this.#observe = parts.observe
    this.#ring = toRing(keys, this.#clock.now())
    this.#inode = keys.inode
    this.#done = keys.stamp
  }

  get ring(): KeyRing {
    return this.#ring
  }

  async watch(taken: () => void): Promise<void> {
    this.#taken = taken
    this.#drop()
    this.#dropLater()
    const files = [this.#source.file, ringFileOf(this.#source)]
    this.#watch = new Watch(files, () => this.#inTurn(async () => await this.#look()), {
      clock: this.#clock,
      observe: this.#observe,
      where: 'identity.jwt_keys',
    })
    await this.#watch.start()
  }

  async refresh(): Promise<boolean> {
    const now = this.#clock.now()
    if (this.#closed || now - this.#refreshedAt < REFRESH_EVERY_MS) return false
    this.#refreshedAt = now
    return await this.#inTurn(async () => await this.#takeReplaced())
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#cancelExpiry?.()
    await this.#watch?.close()
    await this.#turn.catch(() => undefined)
    await this.#dropping
  }

  /** One look at the files: have they changed, have they settled, what do they say now. */
  async #look(): Promise<number | undefined> {
    const text = await this.#stamp()
    if (text === undefined || text === this.#done) return undefined
    const now = this.#clock.now()
    if (this.#seen?.text !== text) this.#seen = { text, since: now }
    const quietMs = now - this.#seen.since
    if (quietMs < SETTLE_MS) return SETTLE_MS - quietMs
    try {
      const keys = await readKeys(this.#source)
      // Without its key file the gateway would not start again: worth saying, no reason to end anything.
      if (keys === null)
        throw new KeyFileProblem(`${keyFileName(this.#source)} ${this.#source.file} is missing`)
      if (keys?.stamp !== text) return 1
      if (this.#isDoubtful(keys) && quietMs < COMPLAIN_AFTER_MS) return COMPLAIN_AFTER_MS - quietMs
      this.#accept(keys)
      return undefined
    } catch (error) {
      if (quietMs < COMPLAIN_AFTER_MS) return COMPLAIN_AFTER_MS - quietMs
      this.#refuse(text, error)
      return undefined
    }
  }

  /**
   * Takes over what was put in place of the key file in one step, without waiting for it to settle: a process that was
   * quicker already signs with it.
   */
  async #takeReplaced(): Promise<boolean> {
    const before = this.#ring
    try {
      const { text, inode } = await stampOfKeys(this.#source)
      if (text === this.#done || inode === this.#inode) return false
      const keys = await readKeys(this.#source)
      if (keys) this.#accept(keys)
    } catch {
      // The watch says what is wrong, once it has stayed so.
    }
    return this.#ring !== before
  }

  /** A ring that is away may be on its way to another place; half a secret cannot be told from a short one. */
  #isDoubtful({ signing, rings }: KeysOnDisk): boolean {
    if (signing.kid === this.#ring.signing.kid) return rings.length === 0 && this.#ring.retired.length > 0
    return signing.algorithm === 'HS256' && signing.secret.length < SECRET_BYTES
  }

  async #stamp(): Promise<string | undefined> {
    try {
      return (await stampOfKeys(this.#source)).text
    } catch (error) {
      this.#refuse(String(error), error)
      return undefined
    }
  }

  #accept(keys: KeysOnDisk): void {
    this.#done = keys.stamp
    this.#inode = keys.inode
    const before = this.#ring
    const ring = toRing(keys, this.#clock.now())
    if (sameKeys(before, ring)) return
    this.#ring = ring
    this.#observe({
      kind: 'keys.taken_over',
      source: this.#source.file,
      signing: ring.signing.kid,
      algorithm: ring.signing.algorithm,
      retired: ring.retired.map(({ kid }) => kid),
      gone: kidsOf(before).filter((kid) => !kidsOf(ring).includes(kid)),
    })
    this.#taken()
    this.#dropLater()
  }

  /** Says once what is wrong with one state of the files; the last good one stays in force. */
  #refuse(done: string, error: unknown): void {
    if (this.#done === done) return
    this.#done = done
    const message = error instanceof KeyFileProblem ? error.message : (systemCode(error) ?? 'cannot be read')
    this.#observe({ kind: 'keys.reload_failed', source: this.#source.file, message })
  }

  /** What is left of a token whose key has come to its end is ended with it. */
  #dropLater(): void {
    this.#cancelExpiry?.()
    if (this.#closed) return
    const now = this.#clock.now()
    const ends = this.#ring.retired.map(({ until }) => until).filter((until) => until > now)
    if (ends.length === 0) return
    const next = Math.min(...ends)
    this.#cancelExpiry = this.#clock.after(next - now, () => {
      this.#taken()
      this.#drop()
      this.#dropLater()
    })
  }

  /** In the file, too, where it can be written: an old secret need not lie about. */
  #drop(): void {
    const dropped = dropExpiredKeys(this.#source, this.#clock.now()).catch(() => undefined)
    this.#dropping = Promise.all([this.#dropping, dropped])
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work, work)
    this.#turn = result.catch(() => undefined)
    return await result
  }
}

async function openKeys(source: KeySource): Promise<{ readonly keys: KeysOnDisk; readonly made: boolean }> {
  let made = false
  for (let attempt = 1; attempt <= FIRST_READ_ATTEMPTS; attempt += 1) {
    try {
      const keys = await readKeys(source)
      if (keys) return { keys, made }
      if (keys === null) {
        if (await makeKeyFile(source)) made = true
        continue
      }
    } catch (error) {
      if (!(error instanceof KeyFileProblem)) throw error
      throw new Fault('config_invalid', `Postern does not start: ${error.message}`, { cause: error })
    }
    await delay(FIRST_READ_RETRY_MS)
  }
  throw new Fault('config_invalid', `${keyFileName(source)} ${source.file} changes all the time`)
}

function toRing({ signing, rings }: KeysOnDisk, now: number): KeyRing {
  const retired = rings.find((ring) => ring.signing === signing.kid)?.retired ?? []
  return createKeyRing(
    signing,
    retired.filter(({ until }) => until > now),
  )
}

const kidsOf = ({ signing, retired }: KeyRing): readonly string[] => [
  signing.kid,
  ...retired.map(({ kid }) => kid),
]

const sameKeys = (a: KeyRing, b: KeyRing): boolean =>
  a.signing.kid === b.signing.kid && JSON.stringify(a.retired) === JSON.stringify(b.retired)
