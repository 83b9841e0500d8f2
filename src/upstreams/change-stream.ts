import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import { isObject, type Params, type RequestId } from '../lib/json-rpc.ts'
import type { Inbox, Listening } from './conversation.ts'
import { type Deadline, deadline } from './deadline.ts'
import type { OpenRequest, RpcResponse, ServerMessage } from './link.ts'
import { RetryDelay } from './retry-delay.ts'
import { subscriptionOf, withoutHopMeta } from './stateless-meta.ts'

/** Resources of which one conversation may be told. */
export const MOST_SUBSCRIPTIONS = 1_000

const FIRST_RETRY_MS = 1_000
const LONGEST_RETRY_MS = 60_000

export interface ChangeStreamParts {
  /** The server's name in the configuration. */
  readonly server: string
  readonly clock: Clock
  readonly timeoutMs: number
  readonly inbox: Inbox
  /** Sends `subscriptions/listen`; `heard` is called where the transport has a stream for each request. */
  open(params: Params, signal: AbortSignal, heard: (message: ServerMessage) => void): OpenRequest
  /** Tells the server that the request is over, where ending its response does not. */
  cancel(id: RequestId): void
}

interface Stream {
  readonly id: RequestId
  readonly time: Deadline
  readonly granted: Listening
  readonly since: number
}

interface Opening {
  readonly id: RequestId
  readonly time: Deadline
  done(stream: Stream): void
}

/**
 * Keeps one `subscriptions/listen` open for what is wanted (2026-07-28 subscriptions). When it breaks it is opened
 * again, and everything that was listened to is told as changed: what happened meanwhile nobody knows.
 */
export class ChangeStream {
  readonly #parts: ChangeStreamParts
  #wanted: Listening = {}
  /** Counts what was wanted; and which of it the current stream was opened for. */
  #version = 0
  #applied = 0
  #current: Stream | undefined
  /** One that waits for its acknowledgement. */
  #opening: Opening | undefined
  #turn: Promise<unknown> = Promise.resolve()
  readonly #delay = new RetryDelay(FIRST_RETRY_MS, LONGEST_RETRY_MS)
  #cancelRetry: (() => void) | undefined
  #closed = false

  constructor(parts: ChangeStreamParts) {
    this.#parts = parts
  }

  /** What the server tells now. */
  get granted(): Listening {
    return this.#current?.granted ?? {}
  }

  /** Listens to this instead of what was wanted before; resolves to what the server agreed to tell. */
  set(wanted: Listening): Promise<Listening> {
    this.#wanted = wanted
    this.#version += 1
    // One after the other: whoever finds his wish fulfilled by one before has nothing to do.
    const turn = this.#turn.then(async () => {
      if (this.#applied !== this.#version) await this.#replace()
      return this.granted
    })
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  /** Whether a message of a shared stream is one of this subscription's. */
  hears({ method, params }: ServerMessage): boolean {
    const id = method === 'notifications/cancelled' ? params['requestId'] : subscriptionOf(params)
    return id !== undefined && (id === this.#opening?.id || id === this.#current?.id)
  }

  heard({ kind, method, params }: ServerMessage): void {
    if (kind !== 'notification') return
    const id = method === 'notifications/cancelled' ? params['requestId'] : subscriptionOf(params)
    switch (method) {
      case 'notifications/subscriptions/acknowledged':
        if (this.#opening && (id === undefined || id === this.#opening.id)) {
          this.#acknowledged(this.#opening, readGranted(params['notifications'], this.#wanted))
        }
        return
      case 'notifications/cancelled':
        if (this.#current && this.#current.id === id) this.#broken(this.#current)
        else if (this.#opening && this.#opening.id === id)
          this.#opening.time.abort(refused(this.#parts.server))
        return
      default:
        if (this.#current && tells(this.#current.granted, method, params)) {
          this.#parts.inbox.notification(method, withoutHopMeta(params))
        }
    }
  }

  close(): void {
    this.#closed = true
    this.#wanted = {}
    this.#cancelRetry?.()
    this.#opening?.time.abort(GONE)
    this.#end(this.#current)
    this.#current = undefined
  }

  /** The new stream is there before the old one ends, so that nothing is missed in between. */
  #acknowledged(opening: Opening, granted: Listening): void {
    const before = this.#current
    const { id, time } = opening
    const stream: Stream = { id, time, granted, since: this.#parts.clock.now() }
    this.#current = stream
    this.#opening = undefined
    this.#end(before)
    opening.done(stream)
  }

  async #replace(): Promise<void> {
    this.#cancelRetry?.()
    this.#cancelRetry = undefined
    const version = this.#version
    if (this.#closed || isEmpty(this.#wanted) || !(await this.#open())) {
      this.#end(this.#current)
      this.#current = undefined
    }
    this.#applied = version
  }

  /** Answers false when the server tells no changes. */
  async #open(): Promise<boolean> {
    const { server, clock, timeoutMs } = this.#parts
    const time = deadline(
      clock,
      timeoutMs,
      () => new Fault('upstream_timeout', `MCP server "${server}" did not say in time what it will tell.`),
    )
    const acknowledged = Promise.withResolvers<Stream>()
    const request = this.#parts.open({ notifications: this.#wanted }, time.signal, (message) => {
      this.heard(message)
    })
    const opening: Opening = { id: request.id, time, done: acknowledged.resolve }
    this.#opening = opening
    const over: Promise<End> = request.answer.then(
      (response) => ({ kind: 'answered', response }),
      (fault: unknown) => ({ kind: 'failed', fault }),
    )
    try {
      const first = await Promise.race([acknowledged.promise, over])
      if ('granted' in first) {
        void over.then(() => {
          if (this.#current === first) this.#broken(first)
        })
        return true
      }
      if (first.kind === 'answered') return false
      if (time.signal.aborted) this.#parts.cancel(request.id)
      throw first.fault
    } finally {
      // From now on it stays open for as long as it is wanted.
      time.done()
      if (this.#opening === opening) this.#opening = undefined
    }
  }

  #broken(stream: Stream): void {
    this.#current = undefined
    this.#end(stream)
    // One that breaks as soon as it is open would otherwise be a change told every second.
    if (this.#parts.clock.now() - stream.since > LONGEST_RETRY_MS) this.#delay.reset()
    this.#retry(stream.granted)
  }

  #retry(missed: Listening): void {
    if (this.#closed || isEmpty(this.#wanted) || this.#cancelRetry) return
    this.#cancelRetry = this.#parts.clock.after(this.#delay.next(undefined, Math.random()), () => {
      this.#cancelRetry = undefined
      const version = this.#version
      this.#turn = this.#turn
        .then(async () => {
          // What was wanted anew meanwhile has its own stream by now.
          if (version !== this.#version || this.#current) return
          await this.#replace()
          this.#tellMissed(missed)
        })
        .catch(() => {
          this.#retry(missed)
        })
    })
  }

  #tellMissed(missed: Listening): void {
    const { inbox } = this.#parts
    for (const [method, wanted] of LIST_CHANGES) if (missed[wanted] === true) inbox.notification(method, {})
    for (const uri of missed.resourceSubscriptions ?? [])
      inbox.notification('notifications/resources/updated', { uri })
  }

  #end(stream: Stream | undefined): void {
    if (!stream || stream.time.signal.aborted) return
    stream.time.abort(GONE)
    this.#parts.cancel(stream.id)
  }
}

/** How a request to listen ends. An answer before the acknowledgement says that the server tells no changes. */
type End =
  | { readonly kind: 'answered'; readonly response: RpcResponse }
  | { readonly kind: 'failed'; readonly fault: unknown }

const refused = (server: string): Fault =>
  new Fault('upstream_unavailable', `MCP server "${server}" ended the subscription before it began.`, {
    retryAfterS: 1,
  })

const GONE = new Fault('upstream_unavailable', 'Nobody listens any more.')

const LIST_CHANGES = [
  ['notifications/tools/list_changed', 'toolsListChanged'],
  ['notifications/prompts/list_changed', 'promptsListChanged'],
  ['notifications/resources/list_changed', 'resourcesListChanged'],
] as const

const isEmpty = (wanted: Listening): boolean =>
  LIST_CHANGES.every(([, name]) => wanted[name] !== true) && (wanted.resourceSubscriptions ?? []).length === 0

/** A server tells nothing that it did not agree to tell, and agrees to nothing that was not wanted. */
function readGranted(value: unknown, wanted: Listening): Listening {
  const granted = isObject(value) ? value : {}
  const uris = granted['resourceSubscriptions']
  const agreed = new Set(Array.isArray(uris) ? uris : [])
  const resources = (wanted.resourceSubscriptions ?? []).filter((uri) => agreed.has(uri))
  return {
    ...Object.fromEntries(
      LIST_CHANGES.flatMap(([, name]) =>
        wanted[name] === true && granted[name] === true ? [[name, true]] : [],
      ),
    ),
    ...(resources.length > 0 ? { resourceSubscriptions: resources } : {}),
  }
}

function tells(granted: Listening, method: string, params: Params): boolean {
  if (method === 'notifications/resources/updated') {
    const { uri } = params
    // It may name a part of what was subscribed to (2026-07-28 schema, `ResourceUpdatedNotification`).
    return (
      typeof uri === 'string' && (granted.resourceSubscriptions ?? []).some((whole) => uri.startsWith(whole))
    )
  }
  return LIST_CHANGES.some(([name, wanted]) => name === method && granted[wanted] === true)
}
