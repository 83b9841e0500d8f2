import type { Dispatcher } from 'undici'
import type { Clock } from '../lib/clock.ts'
import { Deadlines, type Due } from '../lib/deadlines.ts'
import { Fault } from '../lib/fault.ts'
import type { Revision } from '../lib/revisions.ts'
import type { DirectReceiver, DirectRequest, DirectRoute } from './direct-route.ts'
import type { HttpAgent } from './http/agent.ts'
import type { TokenSource } from './http/client-credentials.ts'
import { judgeError, type Peer } from './http/judge-error.ts'
import { judgeHeaders } from './http/judge-headers.ts'
import { judgeStatus } from './http/judge-status.ts'
import { isEventStream } from './http/media-type.ts'
import type { HeaderList } from './http/own-headers.ts'
import { tooLarge } from './http/read-body.ts'
import type { UpstreamLimits } from './options.ts'
import { Problem } from './problem.ts'
import type { CredentialShare, RunningRequests } from './running-requests.ts'

/** What all routes to one server share. */
export interface DirectParts {
  readonly peer: Peer
  readonly agent: HttpAgent
  readonly clock: Clock
  /** Path and query of the server's URL. */
  readonly path: string
  readonly tokens: TokenSource | null
  readonly limits: UpstreamLimits
  /** Requests that run on the server, on this way and on every other. */
  readonly running: RunningRequests
  /** Streams that are open on this way. */
  readonly streams: RunningRequests
  /** The server refused the revision: what was known of it holds no longer. */
  revisionRefused(): void
}

/** Enough of an error's body to see whether it says that the revision is not spoken. */
const REFUSAL_BYTES = 2_048

/** `UnsupportedProtocolVersionError` (2026-07-28 basic, "Error Codes"). */
const VERSION_REFUSED = '-32022'

/** The way along which messages reach one server over HTTP without being looked into. */
export class Direct {
  readonly parts: DirectParts
  readonly deadlines: Deadlines

  constructor(parts: DirectParts) {
    this.parts = parts
    this.deadlines = new Deadlines(parts.clock, parts.limits.timeoutMs)
  }

  /**
   * @param own Postern's own headers for these requests, in lower case
   * @param spoken every revision the server is known to speak
   */
  route(revision: Revision, spoken: ReadonlySet<Revision>, own: HeaderList): DirectRoute {
    return {
      revision,
      spoken,
      send: (request) => {
        new DirectExchange(this, own, request).begin()
      },
    }
  }
}

/**
 * One request on its way and its response on the way back. It is handler and control at once, so that a request
 * costs one object.
 */
class DirectExchange implements Dispatcher.DispatchHandler, Due {
  dueAt = 0
  readonly #direct: Direct
  readonly #receiver: DirectReceiver
  readonly #request: DirectRequest
  readonly #headers: string[]
  readonly #stream: boolean
  readonly #place: number
  /** What it was counted with. */
  #counted: RunningRequests | undefined
  #share: CredentialShare | undefined
  #controller: Dispatcher.DispatchController | undefined
  #token: string | undefined
  #status = 0
  #retried = false
  /** The response is not for the receiver: it is thrown away and the request sent once more. */
  #repeating = false
  #over = false
  /** Bytes that may still come; `Infinity` for event streams, which are never held here. */
  #left = Number.POSITIVE_INFINITY
  #refusal: string | undefined

  constructor(direct: Direct, own: HeaderList, request: DirectRequest) {
    this.#direct = direct
    this.#request = request
    this.#receiver = request.receiver
    this.#stream = request.method === 'GET' || request.headers['mcp-method'] === 'subscriptions/listen'
    this.#headers = own.slice()
    for (const name in request.headers) {
      if (mayPass(name)) this.#headers.push(name, request.headers[name] as string)
    }
    if (request.body !== null) this.#headers.push('content-type', 'application/json')
    if (request.trace) {
      this.#headers.push('traceparent', request.trace.traceparent)
      if (request.trace.tracestate !== undefined) this.#headers.push('tracestate', request.trace.tracestate)
    }
    this.#place = direct.deadlines.add(this)
  }

  begin(): void {
    this.#receiver.started(this)
    if (this.#over) return
    const { tokens, running, streams } = this.#direct.parts
    const count = this.#stream ? streams : running
    try {
      this.#share = count.begin(this.#request.credentialId)
      this.#counted = count
    } catch (busy) {
      this.#fail(busy as Fault)
      return
    }
    if (!tokens) {
      this.#dispatch(this.#headers)
      return
    }
    const token = tokens.current()
    if (token === undefined) void this.#fetchToken(tokens)
    else this.#dispatchWith(token)
  }

  async #fetchToken(tokens: TokenSource): Promise<void> {
    try {
      const token = await tokens.fetch()
      if (!this.#over) this.#dispatchWith(token)
    } catch (error) {
      this.#fail(judgeError(error, this.#direct.parts.peer))
    }
  }

  #dispatchWith(token: string): void {
    this.#token = token
    this.#dispatch([...this.#headers, 'authorization', `Bearer ${token}`])
  }

  #dispatch(headers: string[]): void {
    const { agent, path } = this.#direct.parts
    const { method, body } = this.#request
    const pool = this.#stream ? agent.streams : agent.calls
    pool.dispatch({ path, method, headers, body }, this)
  }

  // What the receiver may do.

  /** Gives up: the connection of the request is closed, and the receiver hears nothing more. */
  abort(reason: Error): void {
    if (this.#over) return
    this.#settle()
    this.#controller?.abort(reason)
  }

  resume(): void {
    this.#controller?.resume()
  }

  expire(): void {
    this.#fail(
      new Fault('upstream_timeout', `${this.#direct.parts.peer} did not answer in time.`, {
        cause: new Problem(`${this.#direct.parts.peer} did not answer a forwarded request in time.`),
      }),
    )
  }

  // What the connection reports.

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // Given up while it waited for a connection.
    if (this.#over) controller.abort(GIVEN_UP)
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // 1xx: the response is still to come.
    if (status < 200 || this.#over) return
    const { peer, tokens, clock, limits } = this.#direct.parts
    if (status === 401 && tokens && this.#token !== undefined && !this.#retried) {
      tokens.refused(this.#token)
      this.#retried = true
      this.#repeating = true
      this.#left = REFUSAL_BYTES
      return
    }
    const fault =
      judgeStatus(status, textOf(headers['retry-after']), clock.now(), peer) ?? judgeHeaders(headers, peer)
    if (fault) {
      this.#fail(fault)
      return
    }
    this.#status = status
    if (isEventStream(headers['content-type'])) {
      if (this.#stream) this.dueAt = Number.POSITIVE_INFINITY
    } else {
      if (Number(headers['content-length']) > limits.messageBytes) {
        // Said in time: once the client has the first byte, it can only be cut off.
        this.#fail(tooLarge(limits.messageBytes, peer))
        return
      }
      this.#left = limits.messageBytes
      this.#refusal = status === 400 ? '' : undefined
    }
    this.#receiver.headers(status, headers)
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#over) return
    this.#left -= chunk.length
    if (this.#repeating) {
      if (this.#left < 0) this.#fail(judgeStatus(401, undefined, 0, this.#direct.parts.peer) as Fault)
      return
    }
    if (this.#left < 0) {
      this.#fail(tooLarge(this.#direct.parts.limits.messageBytes, this.#direct.parts.peer))
      return
    }
    if (this.#refusal !== undefined && this.#refusal.length < REFUSAL_BYTES) {
      this.#refusal += chunk.toString('latin1', 0, REFUSAL_BYTES)
    }
    if (!this.#receiver.chunk(chunk)) controller.pause()
  }

  onResponseEnd(): void {
    if (this.#over) return
    if (this.#repeating) {
      this.#repeating = false
      this.#left = Number.POSITIVE_INFINITY
      void this.#fetchToken(this.#direct.parts.tokens as TokenSource)
      return
    }
    if (this.#status === 400 && this.#refusal?.includes(VERSION_REFUSED)) this.#direct.parts.revisionRefused()
    this.#settle()
    this.#receiver.ended()
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    this.#fail(judgeError(error, this.#direct.parts.peer))
  }

  #fail(fault: Fault): void {
    if (this.#over) return
    this.#settle()
    this.#controller?.abort(fault)
    this.#receiver.failed(fault)
  }

  #settle(): void {
    this.#over = true
    this.#direct.deadlines.remove(this.#place)
    if (this.#share) this.#counted?.end(this.#share)
  }
}

const GIVEN_UP = new Error('given up')

/** What carries the protocol, and nothing else: above all no credential of the client (F11 of the front). */
const PASSES: ReadonlySet<string> = new Set([
  'accept',
  'last-event-id',
  'mcp-method',
  'mcp-name',
  'mcp-protocol-version',
  'mcp-session-id',
])

const mayPass = (name: string): boolean => PASSES.has(name) || name.startsWith('mcp-param-')

const textOf = (value: string | string[] | undefined): string | undefined =>
  typeof value === 'string' ? value : value?.[0]
