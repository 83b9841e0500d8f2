import { setTimeout as delay } from 'node:timers/promises'
import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import { systemCode } from '../../lib/system-code.ts'
import type { Observe } from '../../observe/observation.ts'
import { withFileLock } from '../files/lock.ts'
import { type Stamp, stampOf } from '../files/read.ts'
import { cannotWrite, replaceFile, resolveTarget } from '../files/replace.ts'
import { Watch } from '../files/watch.ts'
import { type FileToken, TokenFileProblem } from './entry.ts'
import { editTokenFile, type TokenFileEdit } from './edit.ts'
import { type GoodContent, judgeContent, SETTLE_MS, SUSPICIOUS_SETTLE_MS } from './judge.ts'
import { parseTokenFile } from './parse.ts'
import { readTokenFile } from './read.ts'

const WHAT = 'the token file'

/** A file that is gone for this long is gone on purpose, and with it every token it held. Milliseconds. */
const GONE_AFTER_MS = 1_000

/**
 * Content that is not good is complained about when it has stayed for this long: a slow writer finishes
 * before that, and the last good content is in force either way. Milliseconds.
 */
const COMPLAIN_AFTER_MS = 250

/** At start a file may be caught in the middle of a write. */
const FIRST_READ_ATTEMPTS = 5
const FIRST_READ_RETRY_MS = 50

/** Called with all tokens whenever the content in force changes. */
export type TakeTokens = (tokens: readonly FileToken[]) => void

/** The token file: read, watched, written. What is in force is always some whole, valid content of it. */
export class TokenFile {
  readonly path: string
  readonly #clock: Clock
  readonly #observe: Observe
  readonly #take: TakeTokens
  #good: GoodContent | undefined
  /** The last look that was dealt with, and the one that waits to settle. */
  #done: string | null | undefined
  #seen: { readonly text: string | null; readonly since: number } | undefined
  #warnedMode: number | undefined
  #watch: Watch | undefined
  #turn: Promise<unknown> = Promise.resolve()

  constructor(path: string, parts: { clock: Clock; observe: Observe; take: TakeTokens }) {
    this.path = path
    this.#clock = parts.clock
    this.#observe = parts.observe
    this.#take = parts.take
  }

  get tokens(): readonly FileToken[] {
    return this.#good?.tokens ?? []
  }

  /** @throws Fault `config_invalid` when there is a file and it cannot be understood */
  async open(): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      const last = attempt === FIRST_READ_ATTEMPTS
      try {
        if (await this.#openOnce(last)) return
      } catch (error) {
        if (last) {
          throw new Fault('config_invalid', `the token file ${this.path}: ${problem(error)}`, {
            cause: error,
          })
        }
      }
      await delay(FIRST_READ_RETRY_MS)
    }
  }

  /** An empty file counts only at the last attempt: it may be one that a writer has just truncated. */
  async #openOnce(last: boolean): Promise<boolean> {
    const content = await readTokenFile(this.path)
    if (content) {
      if (content.text.trim() === '' && !last) return false
      this.#accept(content.text, content.stamp, this.#parse(content.text))
      return true
    }
    const stamp = await stampOf(this.path)
    if (stamp.text === null) {
      this.#accept('', stamp, [])
      return true
    }
    if (last) throw new TokenFileProblem('it changes all the time')
    return false
  }

  async watch(): Promise<void> {
    this.#watch = new Watch([this.path], () => this.#inTurn(async () => await this.#look()), {
      clock: this.#clock,
      observe: this.#observe,
      where: 'identity.token_file',
    })
    await this.#watch.start()
  }

  /**
   * Changes the file under its lock. `decide` gets the tokens as they are in the file now, not as they were
   * when it was read last, and answers with the edit, or `undefined` to leave it.
   *
   * @throws Fault `config_invalid` when its content cannot be understood, `data_dir_unusable`
   */
  async change(decide: (tokens: readonly FileToken[]) => TokenFileEdit | undefined): Promise<void> {
    const target = await resolveTarget(WHAT, this.path)
    await this.#inTurn(async () => {
      await withFileLock(target, async () => {
        const text = await this.#readForChange()
        const edit = decide(this.#parse(text))
        if (!edit) return
        const next = editTokenFile(text, edit)
        // What is written must be readable again, or nothing is written.
        parseTokenFile(next)
        await replaceFile(target, next, { what: WHAT, mode: 0o600 })
      })
      // This process does not wait for its own watch.
      const content = await readTokenFile(this.path)
      if (content) this.#accept(content.text, content.stamp, this.#parse(content.text))
    })
  }

  async close(): Promise<void> {
    await this.#watch?.close()
    await this.#turn.catch(() => undefined)
  }

  async #readForChange(): Promise<string> {
    try {
      const content = await readTokenFile(this.path)
      if (content) return content.text
      if ((await stampOf(this.path)).text === null) return ''
    } catch (error) {
      if (error instanceof TokenFileProblem) throw this.#notUnderstood(error)
      throw cannotWrite(WHAT, this.path, error)
    }
    throw new Fault('data_dir_unusable', `the token file ${this.path} is being written: try again`)
  }

  #parse(text: string): readonly FileToken[] {
    try {
      return text.trim() === '' ? [] : parseTokenFile(text)
    } catch (error) {
      throw error instanceof TokenFileProblem ? this.#notUnderstood(error) : error
    }
  }

  #notUnderstood(error: TokenFileProblem): Fault {
    return new Fault('config_invalid', `the token file ${this.path}: ${error.message}`, { cause: error })
  }

  /** One look at the file: has it changed, has it settled, what does it say now. */
  async #look(): Promise<number | undefined> {
    const stamp = await this.#stamp()
    if (stamp === undefined || stamp.text === this.#done) return undefined
    const now = this.#clock.now()
    if (this.#seen?.text !== stamp.text) this.#seen = { text: stamp.text, since: now }
    const quietMs = now - this.#seen.since
    const needed = stamp.text === null ? GONE_AFTER_MS : SETTLE_MS
    if (quietMs < needed) return needed - quietMs
    try {
      return await this.#read(stamp, quietMs)
    } catch (error) {
      if (quietMs < COMPLAIN_AFTER_MS) return COMPLAIN_AFTER_MS - quietMs
      this.#refuse(stamp.text, problem(error))
      return undefined
    }
  }

  async #read(stamp: Stamp, quietMs: number): Promise<number | undefined> {
    if (stamp.text === null) {
      this.#accept('', stamp, [])
      return undefined
    }
    const content = await readTokenFile(this.path)
    if (content?.stamp.text !== stamp.text) return 1
    const tokens = judgeContent(content.text, stamp.inode, quietMs, this.#good)
    if (!tokens) return SUSPICIOUS_SETTLE_MS - quietMs
    this.#accept(content.text, stamp, tokens)
    return undefined
  }

  async #stamp(): Promise<Stamp | undefined> {
    try {
      return await stampOf(this.path)
    } catch (error) {
      this.#refuse(problem(error), problem(error))
      return undefined
    }
  }

  #accept(text: string, stamp: Stamp, tokens: readonly FileToken[]): void {
    const before = this.#good
    this.#done = stamp.text
    this.#good = { text, inode: stamp.inode, tokens }
    this.#warnAboutMode(stamp)
    if (before?.text === text) return
    this.#take(tokens)
    if (before) this.#observe({ kind: 'tokens.reloaded', source: this.path, count: tokens.length })
  }

  /** Says once what is wrong with one content; the last good one stays in force. */
  #refuse(done: string | null, message: string): void {
    if (this.#done === done) return
    this.#done = done
    this.#observe({ kind: 'tokens.reload_failed', source: this.path, message })
  }

  #warnAboutMode({ text, mode }: Stamp): void {
    if (text === null || mode === this.#warnedMode) return
    this.#warnedMode = mode
    if ((mode & 0o077) === 0) return
    this.#observe({ kind: 'tokens.file_mode', source: this.path, mode: mode.toString(8).padStart(4, '0') })
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#turn.then(work, work)
    this.#turn = result.catch(() => undefined)
    return await result
  }
}

function problem(error: unknown): string {
  if (error instanceof Fault) return error.message.replace(/^the token file .*?: /, '')
  if (error instanceof TokenFileProblem) return error.message
  const code = systemCode(error)
  if (code === 'EACCES' || code === 'EPERM') return 'permission denied'
  return code ?? 'cannot be read'
}
