import { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Answer, EndedBy, Exchange } from './exchange.ts'
import { TERMINATE } from './frontend-messages.ts'
import { MessageReader } from './message-reader.ts'

/** `read`: read-only from its start-up packet. `write`: for the statements of admins that are not reads. */
export type ConnectionKind = 'read' | 'write'

/** What a connected socket comes with. */
export interface Established {
  readonly kind: ConnectionKind
  readonly tenant: string
  /** The schemas it looks for names in, where that was given at start-up. */
  readonly searchPath: readonly string[] | null
  readonly socket: Duplex
  /** Parameters that the server reported during start-up. */
  readonly parameters: ReadonlyMap<string, string>
  /** Asks the server to stop the running statement; resolves with whether it was reached, and never fails. */
  readonly cancel: () => Promise<boolean>
}

/** Whoever put the connection to use is told what becomes of it. */
export interface ConnectionOwner {
  /** An exchange is complete. `clean`: nothing of it is left but, in a session, what it was meant to leave. */
  finished(connection: Connection, clean: boolean): void
  /** The connection can no longer be used. `reason` is `null` where it was closed while unused, as planned. */
  ended(connection: Connection, reason: string | null): void
  /** Its place at the server is free again, as far as can be known: after `ended`, sometimes much later. */
  gone(connection: Connection): void
}

const PARAMETER_STATUS = 0x53
const NOTICE = 0x4e
const NOTIFICATION = 0x41
const ERROR = 0x45

/** Why a connection ended that nobody here has ended. */
export const LOST = 'the server or the network ended the connection'

/** How long a server may take to hang up after a goodbye. */
const GOODBYE_MS = 1_000

const LONGEST_IDLE_MESSAGE = 64 * 1024

/**
 * Parameters that a read connection must keep as they were: the wall itself, who it speaks as, and what
 * decides how the server reads the text that the gate has judged.
 */
const GUARDED = new Set([
  'default_transaction_read_only',
  'session_authorization',
  'is_superuser',
  'client_encoding',
  'standard_conforming_strings',
])

/** The same for a write connection, whose statements may change settings but never whose they are. */
const GUARDED_IDENTITY = new Set(['session_authorization'])

/** One authenticated connection. It carries one exchange at a time and is never handed on in doubt. */
export class Connection {
  readonly kind: ConnectionKind
  /** The tenant it was opened for. Nothing of another one's may run on it. */
  readonly tenant: string
  readonly searchPath: readonly string[] | null
  readonly #socket: Duplex
  readonly #cancel: () => Promise<boolean>
  readonly #parameters: Map<string, string>
  readonly #reader: MessageReader
  readonly #closed: Promise<void>
  #owner: ConnectionOwner | null = null
  #exchange: Exchange | null = null
  #alive = true
  #retiring = false
  /** Milliseconds since the epoch after which a running exchange counts as lost. */
  deadlineAt = Infinity
  /** Milliseconds since the epoch of the last use. */
  usedAt = 0
  transactionStatus = 'I'

  constructor(established: Established) {
    this.kind = established.kind
    this.tenant = established.tenant
    this.searchPath = established.searchPath
    this.#socket = established.socket
    this.#cancel = established.cancel
    this.#parameters = new Map(established.parameters)
    this.#reader = new MessageReader({
      header: (type, length) => this.#header(type, length),
      message: (type, bytes, start, end) => {
        this.#message(type, bytes, start, end)
      },
    })
    this.#socket.on('data', (chunk: Buffer) => {
      try {
        this.#reader.push(chunk)
      } catch (error) {
        // Lengths that do not add up: whoever answers there does not speak the protocol.
        this.#end(`the server sent a message that cannot be read: ${String(error)}`, null)
        return
      }
      const exchange = this.#exchange
      if (exchange !== null && !exchange.rest()) this.#pause(exchange)
    })
    this.#socket.on('error', () => {
      // 'close' follows and says the same.
    })
    this.#closed = new Promise((resolve) => {
      this.#socket.once('close', () => {
        this.#end(this.#retiring ? null : LOST, null)
        resolve()
      })
    })
  }

  set owner(owner: ConnectionOwner) {
    this.#owner = owner
  }

  /** False when it has ended or is about to. */
  get alive(): boolean {
    return this.#alive && !this.#retiring
  }

  get busy(): boolean {
    return this.#exchange !== null
  }

  parameter(name: string): string | undefined {
    return this.#parameters.get(name)
  }

  /** Resolves when the socket is closed. */
  get closed(): Promise<void> {
    return this.#closed
  }

  /** Sends an exchange; its answer comes through `Exchange`'s `settle`, the end through `owner.finished`. */
  execute(exchange: Exchange, now: number, deadlineMs: number): void {
    if (!this.alive) {
      exchange.lose()
      return
    }
    this.#exchange = exchange
    this.usedAt = now
    this.deadlineAt = now + deadlineMs
    this.#socket.write(exchange.bytes())
  }

  /**
   * Ends the connection at once. A running statement is cancelled at the server, and its caller answered.
   * A connection whose statement was cancelled is never used again: the cancel request travels on its own
   * connection and could otherwise hit the next statement.
   */
  destroy(reason: string, by: EndedBy): void {
    if (!this.#alive) return
    const cancelled = this.#exchange === null ? null : this.#cancel()
    this.#end(reason, { kind: 'ended', by }, cancelled)
  }

  /** Ends a connection that is not in use and must not be used again. */
  discard(reason: string): void {
    this.#end(reason, null)
  }

  /** Gives the connection back to its owner without having used it. */
  giveBack(): void {
    this.#owner?.finished(this, true)
  }

  /**
   * Says goodbye and waits for the server to hang up, so that the connection's place counts as taken until
   * the server has really let go of it. For a connection that is not in use.
   */
  retire(now: number): void {
    if (!this.alive) return
    this.#retiring = true
    this.deadlineAt = now + GOODBYE_MS
    this.#socket.end(TERMINATE)
  }

  /** Says goodbye and is gone at once. For a connection that is not in use. */
  close(): void {
    if (!this.#alive) return
    const socket = this.#socket
    socket.end(TERMINATE, () => socket.destroy())
    this.#end(null, null)
  }

  /** Waits no longer for the server to let go of a connection that has ended. */
  abandon(): void {
    if (!this.#alive) this.#socket.destroy()
  }

  #end(reason: string | null, answer: Answer | null, cancelled: Promise<boolean> | null = null): void {
    if (!this.#alive) return
    this.#alive = false
    this.#reader.stop()
    // What is not read any more hides that the other side has closed.
    this.#socket.resume()
    if (cancelled !== null) this.#hangUp()
    else if (reason !== null) this.#socket.destroy()
    const exchange = this.#exchange
    this.#exchange = null
    if (answer === null) exchange?.lose()
    else exchange?.settle(answer)
    this.#owner?.ended(this, reason)
    if (cancelled === null) this.#owner?.gone(this)
    else void this.#letGo(cancelled).then(() => this.#owner?.gone(this))
  }

  /** Whoever takes the rows is behind: the server waits, too, once what lies between is full. */
  #pause(exchange: Exchange): void {
    this.#socket.pause()
    exchange.onReady(() => {
      if (this.#exchange !== exchange) return
      exchange.resumed()
      this.#socket.resume()
    })
  }

  /** Says that nothing more comes. What the server still sends is read and dropped. */
  #hangUp(): void {
    this.#socket.end()
    if (this.#socket instanceof Socket) this.#socket.unref()
  }

  /**
   * A server that was told to stop need not stop: `strpos` of two long strings runs for hours and looks at
   * neither cancel requests nor timeouts. A caller that starts and gives up such statements must not get a
   * new connection for each, so the place is taken until the backend itself has closed its end.
   */
  async #letGo(cancelled: Promise<boolean>): Promise<void> {
    if (await cancelled) await this.#closed
    else this.#socket.destroy()
  }

  #header(type: number, length: number): 'take' | 'skip' | 'stop' {
    if (type === NOTICE || type === NOTIFICATION) return 'skip'
    if (type === PARAMETER_STATUS) return length <= LONGEST_IDLE_MESSAGE ? 'take' : 'skip'
    if (this.#exchange === null) return length <= LONGEST_IDLE_MESSAGE ? 'take' : 'skip'
    const verdict = this.#exchange.header(type, length)
    if (verdict === 'stop') {
      this.#end('an answer was larger than the limit', null, this.#cancel())
    }
    return verdict
  }

  #message(type: number, bytes: Buffer, start: number, end: number): void {
    if (type === PARAMETER_STATUS) {
      this.#takeParameter(bytes, start, end)
      return
    }
    const exchange = this.#exchange
    if (exchange === null) {
      if (type !== ERROR) this.#end('the server sent a message out of turn', null)
      return
    }
    if (!exchange.message(type, bytes, start, end)) return
    this.#exchange = null
    this.deadlineAt = Infinity
    this.transactionStatus = exchange.transactionStatus
    this.#owner?.finished(this, exchange.clean)
  }

  #takeParameter(bytes: Buffer, start: number, end: number): void {
    const [name = '', value = ''] = bytes.toString('utf8', start, end).split('\0')
    const before = this.#parameters.get(name)
    this.#parameters.set(name, value)
    const guarded = this.kind === 'read' ? GUARDED : GUARDED_IDENTITY
    if (before === value || !guarded.has(name)) return
    const cancelled = this.#exchange === null ? null : this.#cancel()
    const reason = `${name} changed from "${before ?? ''}" to "${value.slice(0, 64)}"`
    this.#end(reason, { kind: 'changed', parameter: name }, cancelled)
  }
}
