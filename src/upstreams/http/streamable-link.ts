import { Fault } from '../../lib/fault.ts'
import type { Revision } from '../../lib/revisions.ts'
import { deadline } from '../deadline.ts'
import type { Exchange, RpcNotification, RpcResponse } from '../link.ts'
import { readMessages } from '../read-messages.ts'
import { writeMessage } from '../write-message.ts'
import { Problem } from '../problem.ts'
import { RetryDelay } from '../retry-delay.ts'
import { discard } from './discard.ts'
import { EventReader } from './event-reader.ts'
import { HttpLink, type HttpLinkParts, type Outgoing, POSTED } from './http-link.ts'
import { isEventStream } from './media-type.ts'
import { readEvents } from './read-events.ts'
import { NoAnswer, readReply } from './read-reply.ts'
import type { HttpResponse } from './send.ts'
import { wait } from '../wait.ts'

/** Notifications and answers that are on their way at once: a server that accepts none must not make us keep more. */
const MOST_SENDING = 256
/** Attempts in a row to take up a broken answer again in which nothing arrived. */
const MOST_RESUMES = 5
/** Events in a row on the stream of unrelated messages that are no messages. */
const MOST_GARBAGE = 10
const LONGEST_SESSION_ID = 1_024
/** For the farewell. It is a courtesy: the server ends sessions by itself, too. */
const FAREWELL_MS = 5_000

export interface StreamableParts extends HttpLinkParts {
  /** Is told of what should be waited for before the connections are closed. */
  farewell(parting: Promise<void>): void
}

/**
 * Streamable HTTP of the revisions with sessions (2025-03-26 to 2025-11-25): one POST for each message, a session
 * where the server gives one, and one GET for what belongs to no request.
 */
export class StreamableLink extends HttpLink {
  readonly #parts: StreamableParts
  #session: string | undefined
  #revision: Revision | undefined
  #sending = 0
  /** Requests wait for it: a server may refuse what comes before `notifications/initialized`. */
  #initialized: Promise<void> | undefined

  constructor(parts: StreamableParts) {
    super(parts)
    this.#parts = parts
  }

  agreed(revision: Revision): void {
    this.#revision = revision
  }

  /** @throws Fault `upstream_busy` */
  send(message: RpcNotification | RpcResponse): void {
    if (this.over) return
    if (this.#sending >= MOST_SENDING) {
      throw new Fault('upstream_busy', `${this.parts.peer} takes no more messages just now.`, {
        retryAfterS: 1,
      })
    }
    this.#sending += 1
    const sent = this.#deliver(message).finally(() => {
      this.#sending -= 1
    })
    if (message.kind === 'notification' && message.method === 'notifications/initialized') {
      this.#initialized = sent
      void sent.then(() => this.#hearUnrelated())
    }
  }

  override close(): void {
    const session = this.#session
    if (!this.over && session !== undefined) this.#parts.farewell(this.#sayFarewell(session))
    super.close()
  }

  protected async exchange(message: Outgoing, exchange: Exchange): Promise<RpcResponse> {
    const { signal } = exchange
    const first = message.method === 'initialize'
    if (!first) await this.#initialized
    const events = this.#reader()
    try {
      const response = await this.parts.send({
        method: 'POST',
        headers: { ...POSTED, ...this.#headers(), ...exchange.headers },
        body: writeMessage({ kind: 'request', ...message }),
        signal,
      })
      if (first && response.status < 300) this.#begin(response)
      else if (first) this.parts.doubted()
      else if (response.status === 404 && this.#session !== undefined) throw this.#sessionGone(response)
      const answer =
        (await this.#read(response, message, events, exchange)) ??
        (await this.#resume(message, events, exchange))
      if (response.status === 400 && this.#session !== undefined && saysNoSession(answer))
        throw this.#sessionGone()
      return answer
    } catch (fault) {
      // What answers 2xx with something else than MCP is another transport, too.
      if (first && fault instanceof NoAnswer) this.parts.doubted()
      throw fault
    }
  }

  /** Undefined when the answer is still to come, elsewhere. */
  async #read(
    response: HttpResponse,
    { id }: Outgoing,
    events: EventReader,
    { onMessage, signal }: Exchange,
  ): Promise<RpcResponse | undefined> {
    try {
      return await readReply(response, id, events, onMessage, this.#limits())
    } catch (fault) {
      // A broken connection is no end of the answer, as long as there is a way to ask for the rest.
      if (signal.aborted || events.lastId === '' || !isBroken(fault)) throw fault
      return undefined
    }
  }

  /** Takes up an answer whose stream ended early (2025-11-25 transports, "Resumability and Redelivery"). */
  async #resume(message: Outgoing, events: EventReader, exchange: Exchange): Promise<RpcResponse> {
    const { clock, peer } = this.parts
    const { signal } = exchange
    const delay = new RetryDelay(1_000, 10_000)
    let reader = events
    while (reader.lastId !== '' && delay.attempts < MOST_RESUMES) {
      await wait(clock, delay.next(reader.retryMs, Math.random()), signal)
      const before = reader.lastId
      reader = this.#reader(reader)
      try {
        const response = await this.parts.send({
          method: 'GET',
          headers: { accept: 'text/event-stream', ...this.#headers(), 'last-event-id': before },
          body: null,
          signal,
        })
        if (response.status === 404 && this.#session !== undefined) throw this.#sessionGone(response)
        if (response.status >= 300 || !isEventStream(response.headers['content-type'])) {
          discard(response.body, clock)
          break
        }
        const answer = await this.#read(response, message, reader, exchange)
        if (answer) return answer
        if (reader.lastId !== before) delay.reset()
      } catch (fault) {
        if (signal.aborted || this.over || !isBroken(fault)) throw fault
      }
    }
    throw new Fault('upstream_unavailable', `${peer} broke off its answer.`, {
      cause: new Problem(`${peer} ended the stream of an answer before the answer.`),
    })
  }

  #begin({ headers }: HttpResponse): void {
    const session = headers['mcp-session-id']
    if (session === undefined) return
    if (
      typeof session !== 'string' ||
      session.length > LONGEST_SESSION_ID ||
      !/^[\x21-\x7E]+$/.test(session)
    ) {
      throw new Fault('upstream_invalid', `${this.parts.peer} sent a session id that cannot be used.`)
    }
    this.#session = session
  }

  #headers(): Record<string, string> {
    return {
      ...(this.#session === undefined ? {} : { 'mcp-session-id': this.#session }),
      ...(this.#revision === undefined ? {} : { 'mcp-protocol-version': this.#revision }),
    }
  }

  #reader(before?: EventReader): EventReader {
    const reader = new EventReader(this.parts.limits.messageBytes)
    if (before) {
      reader.lastId = before.lastId
      reader.retryMs = before.retryMs
    }
    return reader
  }

  #limits(): HttpLinkParts & { readonly messageBytes: number } {
    return { ...this.parts, messageBytes: this.parts.limits.messageBytes }
  }

  /** The session is over, and everything that was in it (2025-11-25 transports, "Session Management" 3 and 4). */
  #sessionGone(response?: HttpResponse): Fault {
    if (response) discard(response.body, this.parts.clock)
    const fault = new Fault('upstream_unavailable', `${this.parts.peer} ended the session. Try again.`, {
      cause: new Problem(`${this.parts.peer} no longer knows the session: it was restarted, or ended it.`),
    })
    this.#session = undefined
    this.lost(fault)
    return fault
  }

  async #deliver(message: RpcNotification | RpcResponse): Promise<void> {
    const { clock, limits, send } = this.parts
    const time = deadline(clock, limits.timeoutMs, () => new Error('not accepted in time'))
    try {
      await this.during(time.signal, async (signal) => {
        const response = await send({
          method: 'POST',
          headers: { ...POSTED, ...this.#headers() },
          body: writeMessage(message),
          signal,
        })
        discard(response.body, clock)
        if (response.status === 404 && this.#session !== undefined) this.#sessionGone()
      })
    } catch {
      // Nobody waits for it. A server that is away is noticed by the next request.
    } finally {
      time.done()
    }
  }

  /** Keeps the stream of unrelated messages open, if the server offers one. */
  async #hearUnrelated(): Promise<void> {
    const { clock } = this.parts
    const delay = new RetryDelay(1_000, 60_000)
    let reader = this.#reader()
    let offered = false
    try {
      while (!this.over) {
        try {
          const outcome = await this.during(undefined, (signal) =>
            this.#hearOnce(reader, signal, offered, delay),
          )
          if (outcome === 'not offered') return
          offered = true
        } catch (fault) {
          if (this.over) return
          // Garbage and events that are too large: the stream goes on after them, if at all, without its past.
          if (!isBroken(fault)) reader.lastId = ''
        }
        const delayMs = delay.next(reader.retryMs, Math.random())
        reader = this.#reader(reader)
        await this.during(undefined, (signal) => wait(clock, delayMs, signal))
      }
    } catch {
      // The link was closed while it waited.
    }
  }

  async #hearOnce(
    reader: EventReader,
    signal: AbortSignal,
    offered: boolean,
    delay: RetryDelay,
  ): Promise<'not offered' | 'ended'> {
    const { clock, send } = this.parts
    const response = await send({
      method: 'GET',
      headers: {
        accept: 'text/event-stream',
        ...this.#headers(),
        ...(reader.lastId === '' ? {} : { 'last-event-id': reader.lastId }),
      },
      body: null,
      signal,
      stream: true,
    })
    if (response.status >= 300 || !isEventStream(response.headers['content-type'])) {
      discard(response.body, clock)
      if (response.status === 404 && offered && this.#session !== undefined) this.#sessionGone()
      // 405 is the way to say that there is no such stream; servers say it in other ways, too.
      if (!offered || response.status === 405) return 'not offered'
      reader.lastId = ''
      return 'ended'
    }
    let garbage = 0
    await readEvents(response.body, reader, this.parts, ({ data }) => {
      delay.reset()
      if (data === '') return undefined
      let waits: (Promise<void> | undefined)[]
      try {
        waits = readMessages(data).map((message) =>
          // An answer here belongs to nobody (2025-11-25 transports, "Listening for Messages from the Server" 4).
          message.kind === 'request' || message.kind === 'notification'
            ? (this.listener?.message(message) ?? undefined)
            : undefined,
        )
      } catch (fault) {
        garbage += 1
        if (garbage >= MOST_GARBAGE) throw fault
        return undefined
      }
      garbage = 0
      const open = waits.filter((one) => one !== undefined)
      return open.length > 0 ? Promise.all(open).then(() => undefined) : undefined
    })
    return 'ended'
  }

  async #sayFarewell(session: string): Promise<void> {
    const { clock, send } = this.parts
    const time = deadline(clock, FAREWELL_MS, () => new Error('too late'))
    try {
      const { body } = await send({
        method: 'DELETE',
        headers: { ...this.#headers(), 'mcp-session-id': session },
        body: null,
        signal: time.signal,
      })
      discard(body, clock)
    } catch {
      // The session ends without us.
    } finally {
      time.done()
    }
  }
}

/** The connection broke: what was sent may still be had. */
const isBroken = (fault: unknown): boolean =>
  fault instanceof Fault && (fault.code === 'upstream_unavailable' || fault.code === 'upstream_timeout')

/**
 * Servers that keep their sessions in a table often answer 400 rather than 404 to one they do not know, as the
 * examples of the official libraries do.
 */
const saysNoSession = (answer: RpcResponse): boolean =>
  answer.kind === 'error' && answer.id === null && /session/i.test(answer.error.message)
