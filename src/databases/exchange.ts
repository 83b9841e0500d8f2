import { isUtf8 } from 'node:buffer'
import type { StoppedBy } from '../access/stop-refusal.ts'
import type { Column } from './database.ts'
import {
  BEGIN_READ_ONLY_STATEMENTS,
  beginReadOnly,
  DISCARD_ALL,
  ROLLBACK,
  statementMessages,
  type TextParameter,
} from './frontend-messages.ts'
import type { RowSink } from './rows/row-sink.ts'
import { readServerError, type ServerError } from './server-error.ts'
import { type Decode, decoderOf } from './values.ts'

const ROLLBACK_AND_DISCARD = Buffer.concat([ROLLBACK, DISCARD_ALL])

/**
 * How the statement is wrapped.
 * - `bare`: the statement alone, as one implicit transaction.
 * - `read-only`: `BEGIN READ ONLY`, a snapshot, the statement, `ROLLBACK`.
 */
export type Wrapping = 'bare' | 'read-only'

export interface ExchangeOptions {
  readonly sql: string
  readonly params: readonly TextParameter[]
  readonly wrapping: Wrapping
  /** Ends with ROLLBACK and DISCARD ALL, so that nothing reaches the next statement of the connection. */
  readonly scrub: boolean
  readonly maxRows: number
  /** Bytes of all rows together, as they come over the wire. */
  readonly maxBytes: number
  /**
   * Whether Execute stops the statement at the row cap. Not for writes: a write must not be torn by the size
   * of its RETURNING, so all of it runs and the rows beyond the cap are dropped.
   */
  readonly limitRows: boolean
  /** Beyond the byte cap: `stop` gives up the connection; `skip` reads on to its end without keeping anything. */
  readonly beyondBytes: 'stop' | 'skip'
  /** The same for a single row, which has to be held as a whole even where the answer is not. */
  readonly maxRowBytes?: number
  /** Where the statement may have changed `client_encoding`: rows that are no UTF-8 become an error. */
  readonly mayRecode?: boolean
  /** Takes the rows while they come; the answer then has none. */
  readonly into?: RowSink
  /** What to call `into.begin` with beside the fields. */
  readonly columnsOf?: (fields: readonly Field[]) => readonly Column[] | undefined
  /** Called after each piece of the answer: whether more is to come at once. */
  readonly rested?: (more: boolean) => void
  /** Milliseconds that the server lets the statement run, where that is not the default; `read-only` only. */
  readonly timeoutMs?: number
}

export interface Field {
  readonly name: string
  readonly typeOid: number
}

/** Why a connection was ended from this side. */
export type EndedBy = StoppedBy | 'deadline' | 'session'

/** How an exchange came out. */
export type Answer =
  | {
      readonly kind: 'rows'
      readonly fields: readonly Field[]
      readonly rows: readonly (readonly unknown[])[]
      /** Those that `into` took included. */
      readonly rowCount: number
      readonly truncatedBy: 'rows' | 'bytes' | null
      readonly command: string
    }
  | { readonly kind: 'error'; readonly error: ServerError }
  /** Not even the first row fits. */
  | { readonly kind: 'too_large' }
  | { readonly kind: 'ended'; readonly by: EndedBy }
  /** The statement changed a setting that a read connection must keep; the connection was ended for it. */
  | { readonly kind: 'changed'; readonly parameter: string }
  /** The server or the network ended the connection. */
  | { readonly kind: 'lost'; readonly error: ServerError | null }

/** Types of the messages that PostgreSQL sends in answer to a statement. */
const TYPE = {
  copyBoth: 0x57,
  copyIn: 0x47,
  copyOut: 0x48,
  commandComplete: 0x43,
  dataRow: 0x44,
  error: 0x45,
  parseComplete: 0x31,
  portalSuspended: 0x73,
  readyForQuery: 0x5a,
  rowDescription: 0x54,
} as const

/** No message but a row has a reason to be longer: 1,664 columns with long names fit five times. */
const LONGEST_OTHER_MESSAGE = 1024 * 1024

const COPY_REFUSED: ServerError = {
  fatal: false,
  sqlstate: '0A000',
  message: 'COPY from or to the client is not supported: use SELECT or INSERT',
  hint: null,
  position: null,
}

/** A JSON text or file that claims to be UTF-8 and is not would be read as something else. */
const NOT_UTF8: ServerError = {
  fatal: false,
  sqlstate: '22021',
  message:
    'the rows are not in UTF-8: leave client_encoding as it is. What the statement changed, it has changed',
  hint: null,
  position: null,
}

/**
 * One statement on its way through one connection: which bytes to send, and what the answer is. It knows
 * nothing of sockets, so that an answer can be judged without a server.
 */
export class Exchange {
  readonly #options: ExchangeOptions
  readonly #settle: (answer: Answer) => void
  /** Which ParseComplete belongs to the caller's statement. */
  readonly #ownStatement: number
  readonly #syncs: number
  #settled = false
  #answer: Answer | null = null
  #parsed = 0
  #synced = 0
  #fields: Field[] = []
  #decoders: Decode[] = []
  #rows: unknown[][] = []
  #rowCount = 0
  #bytes = 0
  #truncatedBy: 'rows' | 'bytes' | null = null
  #command = ''
  #error: ServerError | null = null
  #clean = true
  #transactionStatus = 'I'

  /**
   * @param settle receives the answer, exactly once. An answer waits for the clean-up behind it, which came
   *   in the same packet: the caller's next statement may run elsewhere and must not meet what is left over.
   */
  constructor(options: ExchangeOptions, settle: (answer: Answer) => void) {
    this.#options = options
    this.#settle = settle
    const before = BEGIN_READ_ONLY_STATEMENTS + (options.timeoutMs === undefined ? 0 : 1)
    this.#ownStatement = options.wrapping === 'read-only' ? before + 1 : 1
    this.#syncs = 1 + (options.wrapping === 'read-only' || options.scrub ? 1 : 0) + (options.scrub ? 1 : 0)
  }

  /** Everything to send, the clean-up included: nothing of it waits for an answer. */
  bytes(): Buffer {
    const { sql, params, wrapping, scrub, maxRows, limitRows, timeoutMs } = this.#options
    const before = wrapping === 'read-only' ? beginReadOnly(timeoutMs) : null
    const after = scrub ? ROLLBACK_AND_DISCARD : wrapping === 'read-only' ? ROLLBACK : null
    // One row more than wanted: only then does a suspended portal mean that rows were left out.
    const limit = limitRows && maxRows !== Infinity ? maxRows + 1 : 0
    return statementMessages(sql, params, limit, before, after)
  }

  /** True when every step succeeded and the connection holds nothing of this exchange. */
  get clean(): boolean {
    return this.#clean
  }

  /** Transaction status after the last ReadyForQuery: `I` idle, `T` in a transaction, `E` in a failed one. */
  get transactionStatus(): string {
    return this.#transactionStatus
  }

  header(type: number, length: number): 'take' | 'skip' | 'stop' {
    if (type !== TYPE.dataRow) {
      if (length <= LONGEST_OTHER_MESSAGE) return 'take'
      this.settle({ kind: 'too_large' })
      return 'stop'
    }
    if (this.#parsed !== this.#ownStatement) return 'skip'
    if (this.#truncatedBy !== null || this.#error !== null) return 'skip'
    const { maxRows, maxBytes, maxRowBytes = maxBytes, beyondBytes } = this.#options
    // The row beyond the cap only tells that there is one: nobody is given its bytes.
    if (this.#rowCount >= maxRows) {
      this.#truncatedBy = 'rows'
      return 'skip'
    }
    this.#bytes += length
    if (this.#bytes <= maxBytes && length <= maxRowBytes) return 'take'
    this.#truncatedBy = 'bytes'
    if (beyondBytes === 'skip') return 'skip'
    if (this.#rowCount === 0) this.settle({ kind: 'too_large' })
    else this.settle(this.#rowsAnswer())
    return 'stop'
  }

  /** @returns true after the last message of the exchange */
  message(type: number, bytes: Buffer, start: number, end: number): boolean {
    switch (type) {
      case TYPE.dataRow:
        if (this.#options.mayRecode === true && !isRowUtf8(bytes, start)) {
          this.#error = NOT_UTF8
          return false
        }
        this.#rowCount += 1
        if (this.#options.into === undefined) this.#takeRow(bytes, start)
        else this.#options.into.row(bytes, start)
        return false
      case TYPE.parseComplete:
        this.#parsed += 1
        return false
      case TYPE.rowDescription:
        if (this.#parsed === this.#ownStatement) this.#takeFields(bytes, start)
        return false
      case TYPE.portalSuspended:
        if (this.#synced === 0) this.#truncatedBy ??= 'rows'
        return false
      case TYPE.commandComplete:
        if (this.#synced === 0 && this.#parsed === this.#ownStatement)
          this.#command = bytes.toString('latin1', start, end - 1)
        return false
      case TYPE.error:
        if (this.#synced === 0) this.#error = readServerError(bytes, start, end)
        else this.#clean = false
        return false
      case TYPE.copyIn:
      case TYPE.copyOut:
      case TYPE.copyBoth:
        // A copy changes which messages the server accepts; ending the connection ends it for certain.
        this.settle({ kind: 'error', error: COPY_REFUSED })
        this.#clean = false
        return true
      case TYPE.readyForQuery:
        return this.#ready(String.fromCharCode(bytes[start] as number))
      default:
        return false
    }
  }

  /**
   * Called after each piece that came from the server.
   *
   * @returns false when nothing more should be read until `onReady` calls back
   */
  rest(): boolean {
    // Only the clean-up is still to come: whoever takes the rows hears of their end next.
    if (this.#synced > 0) return true
    const { into, rested } = this.#options
    const more = into?.rest() ?? true
    rested?.(more)
    return more
  }

  onReady(listener: () => void): void {
    this.#options.into?.onReady(listener)
  }

  /** Reading goes on after a rest. */
  resumed(): void {
    this.#options.rested?.(true)
  }

  /** Gives an answer from outside: the connection ended. The first answer counts. */
  settle(answer: Answer): void {
    if (this.#settled) return
    this.#settled = true
    this.#settle(answer)
  }

  /** The connection is gone; an answer that was complete stays one, and an error sent on the way says why. */
  lose(): void {
    this.settle(this.#answer ?? { kind: 'lost', error: this.#error })
  }

  #ready(status: string): boolean {
    this.#synced += 1
    this.#transactionStatus = status
    if (this.#synced === 1) {
      this.#answer = this.#error === null ? this.#rowsAnswer() : { kind: 'error', error: this.#error }
    }
    if (this.#synced < this.#syncs || this.#answer === null) return false
    this.settle(this.#answer)
    return true
  }

  #rowsAnswer(): Answer {
    return {
      kind: 'rows',
      fields: this.#fields,
      rows: this.#rows,
      rowCount: this.#rowCount,
      truncatedBy: this.#truncatedBy,
      command: this.#command,
    }
  }

  #takeFields(bytes: Buffer, start: number): void {
    const count = bytes.readUInt16BE(start)
    let at = start + 2
    for (let index = 0; index < count; index += 1) {
      const zero = bytes.indexOf(0, at)
      const typeOid = bytes.readUInt32BE(zero + 7)
      this.#fields.push({ name: bytes.toString('utf8', at, zero), typeOid })
      this.#decoders.push(decoderOf(typeOid))
      at = zero + 19
    }
    this.#options.into?.begin(this.#fields, this.#options.columnsOf?.(this.#fields))
  }

  #takeRow(bytes: Buffer, start: number): void {
    const count = bytes.readUInt16BE(start)
    const row: unknown[] = []
    let at = start + 2
    for (let index = 0; index < count; index += 1) {
      const length = bytes.readInt32BE(at)
      at += 4
      if (length < 0) row.push(null)
      else {
        const decode = this.#decoders[index]
        row.push(decode === undefined ? null : decode(bytes, at, at + length))
        at += length
      }
    }
    this.#rows.push(row)
  }
}

function isRowUtf8(bytes: Buffer, start: number): boolean {
  let at = start + 2
  for (let left = bytes.readUInt16BE(start); left > 0; left -= 1) {
    const length = bytes.readInt32BE(at)
    at += 4
    if (length < 0) continue
    if (!isUtf8(bytes.subarray(at, at + length))) return false
    at += length
  }
  return true
}
