import { isUtf8 } from 'node:buffer'
import { Fault } from '../../lib/fault.ts'
import { GrowingBytes } from '../../lib/growing-bytes.ts'
import { STATELESS_REVISION } from '../../lib/revisions.ts'
import type { Admission } from '../../tools/backend/backend.ts'
import type { DirectReceiver, DirectRoute } from '../../upstreams/direct-route.ts'
import { isTooDeep } from '../../upstreams/is-too-deep.ts'
import { faultToRpc, isRpcError, type StopReason, stopToRpc } from '../error-to-rpc.ts'
import type { McpExchange } from '../exchange.ts'
import { isObject, type Params, type RequestId } from '../message.ts'
import { ACCEPTED, errorReply, type Reply } from '../reply.ts'
import { failure, rpcError, RPC_CODE, success } from '../rpc-error.ts'
import { methodNotAllowed } from '../session-errors.ts'
import { refusedResult } from '../tool-result.ts'
import { AnswerSign } from './answer-sign.ts'
import { EventFilter } from './event-filter.ts'
import type { Rework } from './visible-answer.ts'

/** What a relay needs of the endpoint. */
export interface RelayParts {
  /** Writes an answer of our own. */
  readonly write: (exchange: McpExchange, reply: Reply) => void
  readonly failed: (exchange: McpExchange, fault: unknown) => void
  /** JSON text of the `_meta` member with `serverInfo`. */
  readonly serverMeta: string
}

/** One exchange that passes through. */
export interface Passage {
  readonly exchange: McpExchange
  /** Of the request; absent for notifications, responses and streams. */
  readonly id: RequestId | undefined
  readonly method: string
  readonly stateless: boolean
  readonly admission: Admission | undefined
  readonly rework: Rework | undefined
  /** Told once, when nothing of it is left. */
  readonly over: (() => void) | undefined
  /** The server no longer knows the session. @returns the answer for the client */
  readonly forgotten: (() => Reply) | undefined
}

/** JSON up to this size is checked before it goes on: a model must not read half an answer as a whole one. */
const CHECKED_BYTES = 16_384

/** The longest message that is read in order to be changed. */
const REWORKED_BYTES = 4_194_304

/** Where event ids are looked for: a server that lets clients resume a stream says so from the first event. */
const LOOKED_INTO_BYTES = 65_536

const NO_BYTES = Buffer.alloc(0)

const LF = 0x0a

interface Control {
  abort(reason: Error): void
  resume(): void
}

/**
 * Hands a server's response on to the client as it arrives. Nothing is held but a short JSON answer until it is
 * complete, and what has to be changed; when the client reads slowly, the server is read slowly.
 */
export class Relay implements DirectReceiver {
  readonly #parts: RelayParts
  readonly #passage: Passage
  #control: Control | undefined
  #over = false
  #status = 0
  #mode: 'waiting' | 'accepted' | 'holding' | 'streaming' | 'events' = 'waiting'
  #held: GrowingBytes | undefined
  #filter: EventFilter | undefined
  /** Of an event stream: the client can come back for the rest, so it is not told that the request failed. */
  #resumable = false
  #seenBytes = 0
  #betweenEvents = true
  #atLineStart = true
  #sign: AnswerSign | undefined

  constructor(parts: RelayParts, passage: Passage) {
    this.#parts = parts
    this.#passage = passage
  }

  /** Sends the request on, tied to its client and to the credential of it. */
  send(
    route: DirectRoute,
    method: 'POST' | 'GET',
    body: string | null,
    headers: Readonly<Record<string, string>>,
  ): void {
    const { exchange } = this.#passage
    exchange.onEnd((reason) => {
      this.stop(reason)
    })
    if (this.#over) return
    const credentialId = exchange.caller.credential.id
    route.send({ method, body, headers, credentialId, trace: exchange.trace, receiver: this })
  }

  /** Cuts both sides at once. What has not begun is answered with the reason. */
  stop(reason: StopReason): void {
    if (this.#over) return
    const { exchange, id, stateless, admission } = this.#passage
    this.#settle()
    this.#control?.abort(STOPPED)
    admission?.settle('failed', { rule: ruleOf(reason) })
    const { response } = exchange
    if (reason === 'gone') return
    if (response.headersSent) {
      // A stream may just end where the client is to come back; a credential that ended gets not one byte more.
      if (reason === 'shutdown' || reason === 'cancelled') response.end()
      else response.destroy()
      return
    }
    const why = stopToRpc(reason, 0)
    if (isRpcError(why)) this.#parts.write(exchange, errorReply(id, why, stateless))
    else if (this.#passage.method === 'tools/call' && id !== undefined) {
      const revision = stateless ? STATELESS_REVISION : '2025-11-25'
      const text = refusedResult(why, revision, this.#parts.serverMeta)
      this.#parts.write(exchange, { message: success(id, text) })
    } else {
      const { code, rule, message } = why
      const error = rpcError(200, RPC_CODE.cancelled, message, { data: { code, rule } })
      this.#parts.write(exchange, errorReply(id, error, stateless))
    }
  }

  /** A line that clients skip, where one may stand. */
  keepAlive(): void {
    if (this.#mode === 'events' && (this.#filter?.between ?? false))
      this.#passage.exchange.response.write(':\n\n')
  }

  // What the server's side reports.

  started(control: Control): void {
    this.#control = control
  }

  headers(status: number, headers: Readonly<Record<string, string | readonly string[] | undefined>>): void {
    if (this.#over) return
    const { id, method, forgotten, exchange, rework } = this.#passage
    this.#status = status
    const type = headers['content-type']
    const isGet = exchange.request.method === 'GET'
    if (status === 404 && forgotten) {
      this.#abort('request.session')
      this.#parts.write(exchange, forgotten())
    } else if (status === 405 && isGet) {
      this.#abort('request.method')
      this.#parts.write(exchange, errorReply(undefined, methodNotAllowed('POST')))
    } else if (id === undefined && !isGet && status < 300 && !isType(type, 'text/event-stream')) {
      // A notification or a response: accepted, whatever else is said.
      this.#mode = 'accepted'
    } else if (status === 200 && isType(type, 'text/event-stream')) {
      this.#mode = 'events'
      if (rework) this.#filter = new EventFilter(rework, REWORKED_BYTES)
      // A subscription just ends: its client subscribes again.
      if (id !== undefined && method !== 'subscriptions/listen') this.#sign = new AnswerSign(id)
      exchange.dress()
      exchange.response.writeHead(200, EVENT_HEADERS)
      exchange.response.flushHeaders()
    } else if (isType(type, 'application/json') && status !== 202 && !(isGet && status < 400)) {
      this.#mode = 'holding'
    } else {
      this.failed(
        new Fault('upstream_invalid', 'The MCP server sent something that is no answer.', {
          cause: new Error(`The MCP server answered ${status} with neither JSON nor an event stream.`),
        }),
      )
      this.#control?.abort(STOPPED)
    }
  }

  chunk(bytes: Buffer): boolean {
    if (this.#over) return true
    if (this.#mode === 'holding') return this.#hold(bytes)
    if (this.#mode === 'events') return this.#event(bytes)
    return this.#mode !== 'streaming' || this.#write(bytes)
  }

  ended(): void {
    if (this.#over) return
    if (this.#mode === 'holding') {
      this.#finishHeld()
      return
    }
    if (this.#sign?.seen === false && !this.#resumable) {
      this.failed(
        new Fault('upstream_invalid', 'The MCP server ended its answer without a result.', {
          cause: new Error('The MCP server ended the event stream of a request that it had not answered.'),
        }),
      )
      return
    }
    const { exchange, admission } = this.#passage
    this.#settle()
    admission?.settle('done')
    if (this.#mode === 'accepted') this.#parts.write(exchange, ACCEPTED)
    else exchange.response.end()
  }

  failed(fault: Error): void {
    if (this.#over) return
    const { exchange, admission, id, stateless } = this.#passage
    this.#settle()
    admission?.settle('failed', { rule: fault instanceof Fault ? fault.code : 'internal' })
    this.#parts.failed(exchange, fault)
    const { response } = exchange
    const error = faultToRpc(fault)
    if (!response.headersSent) {
      this.#parts.write(exchange, errorReply(id, error, stateless))
    } else if (this.#mode === 'events' && id !== undefined && !this.#resumable) {
      // Clients that only see a stream break off wait for ever. Half an event is ended: half of a JSON text is none.
      const gap = this.#filter || this.#betweenEvents ? '' : '\n\n'
      response.end(`${gap}event: message\ndata: ${failure(id, error, stateless)}\n\n`)
    } else {
      // Never a proper end: the client would take half an answer for all of it.
      response.destroy()
    }
  }

  #hold(bytes: Buffer): boolean {
    this.#held ??= new GrowingBytes()
    const held = this.#held
    held.add(bytes)
    if (this.#passage.rework) {
      if (held.length <= REWORKED_BYTES) return true
      this.#control?.abort(STOPPED)
      this.failed(new Fault('upstream_invalid', 'The MCP server sent a list that is too long.'))
      return true
    }
    if (held.length <= CHECKED_BYTES) return true
    this.#mode = 'streaming'
    const { exchange } = this.#passage
    exchange.response.writeHead(this.#status, [...exchange.replyHeaders, 'content-type', 'application/json'])
    return this.#write(held.take())
  }

  #finishHeld(): void {
    const { exchange, admission } = this.#passage
    const body = this.#judgeHeld(this.#held?.take() ?? NO_BYTES)
    if (body === undefined) {
      this.failed(
        new Fault('upstream_invalid', 'The MCP server sent a broken answer.', {
          cause: new Error('The MCP server sent JSON that cannot be read.'),
        }),
      )
      return
    }
    this.#settle()
    admission?.settle('done')
    exchange.response.writeHead(this.#status, [
      ...exchange.replyHeaders,
      'content-type',
      'application/json',
      'content-length',
      String(Buffer.byteLength(body)),
    ])
    // As text it leaves in one piece with the head.
    exchange.response.end(body)
  }

  /** What the client is answered; `undefined` when the server's JSON is none, or cannot be changed as it has to be. */
  #judgeHeld(held: Buffer): string | undefined {
    const { rework } = this.#passage
    if (!isUtf8(held)) return undefined
    const text = held.toString('utf8')
    // What is changed is written out again, which overflows the stack where JSON is too deep.
    if (rework && isTooDeep(text)) return undefined
    const message = parse(text)
    if (!isObject(message)) return undefined
    if (!rework) return text
    try {
      return JSON.stringify(rework(message))
    } catch {
      return undefined
    }
  }

  #event(bytes: Buffer): boolean {
    this.#sign?.look(bytes)
    if (this.#seenBytes < LOOKED_INTO_BYTES) {
      this.#seenBytes += bytes.length
      // As a field of its own: JSON text has no line ends.
      this.#resumable ||= bytes.includes('\nid:') || (this.#atLineStart && bytes.indexOf('id:') === 0)
      this.#atLineStart = bytes[bytes.length - 1] === LF
    }
    this.#betweenEvents = endsEvent(bytes)
    if (this.#filter) {
      const passed = this.#filter.push(bytes)
      if (passed) return passed.length === 0 || this.#write(passed)
      this.#control?.abort(STOPPED)
      this.failed(new Fault('upstream_invalid', 'The MCP server sent an event that cannot be read.'))
      return true
    }
    return this.#write(bytes)
  }

  #write(bytes: Buffer): boolean {
    const { response } = this.#passage.exchange
    if (response.write(bytes)) return true
    response.once('drain', () => {
      this.#control?.resume()
    })
    return false
  }

  #abort(rule: string): void {
    this.#settle()
    this.#control?.abort(STOPPED)
    this.#passage.admission?.settle('failed', { rule })
  }

  #settle(): void {
    this.#over = true
    this.#passage.over?.()
  }
}

const STOPPED = new Error('the exchange is over')

const EVENT_HEADERS = {
  'content-type': 'text/event-stream',
  'cache-control': 'no-store, no-transform',
  // Without it nginx holds events back until its buffer is full (2026-07-28 streamable HTTP).
  'x-accel-buffering': 'no',
}

function ruleOf(reason: StopReason): string {
  if (reason === 'gone') return 'request.aborted'
  return reason === 'cancelled' ? 'session.ended' : `credential.${reason}`
}

const isType = (header: string | readonly string[] | undefined, type: string): boolean =>
  typeof header === 'string' &&
  (header === type || header.toLowerCase().startsWith(type)) &&
  (header.length === type.length || header[type.length] === ';' || header[type.length] === ' ')

const endsEvent = (bytes: Buffer): boolean => {
  const last = bytes.length - 1
  return bytes[last] === LF && (bytes[last - 1] === LF || bytes[last - 2] === LF)
}

function parse(text: string): Params | undefined {
  try {
    return JSON.parse(text) as Params
  } catch {
    return undefined
  }
}
