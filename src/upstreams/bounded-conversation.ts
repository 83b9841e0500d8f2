import { formatDuration } from '../lib/duration.ts'
import { Fault } from '../lib/fault.ts'
import { Bag } from '../lib/bag.ts'
import type { Clock } from '../lib/clock.ts'
import type { Params } from '../lib/json-rpc.ts'
import type { Observe } from '../observe/observation.ts'
import type {
  Answer,
  Ask,
  Conversation,
  Inbox,
  Listening,
  OutgoingRequest,
  ServerFacts,
} from './conversation.ts'
import { type Deadline, deadline } from './deadline.ts'
import type { RunningRequests } from './running-requests.ts'

export interface BoundedConversationOptions {
  readonly server: string
  readonly inner: Conversation
  readonly inbox: Inbox
  readonly timeoutMs: number
  readonly clock: Clock
  /** The requests that run on the server, of all conversations. */
  readonly running: RunningRequests
  /** Whose conversation it is. */
  readonly credentialId: string
  readonly observe: Observe
  /** Called once, however it ends. */
  readonly onOver: () => void
}

/** A conversation whose requests are counted and timed, and cancelled when it ends. */
export class BoundedConversation implements Conversation {
  readonly #options: BoundedConversationOptions
  readonly #open = new Bag<Deadline>()
  #ended: Error | undefined

  constructor(options: BoundedConversationOptions) {
    this.#options = options
  }

  get about(): ServerFacts {
    return this.#options.inner.about
  }

  async request(call: OutgoingRequest): Promise<Answer> {
    const { inner, running, credentialId, observe } = this.#options
    if (this.#ended) throw this.#ended
    const share = running.begin(credentialId)
    const time = this.#time(call.method, call.signal)
    const place = this.#open.add(time)
    const { ask, onNotification } = call
    try {
      return await inner.request({
        ...call,
        signal: time.signal,
        ...(ask ? { ask: whileSuspended(time, ask) } : {}),
        ...(onNotification ? { onNotification: guardedListener(onNotification, observe) } : {}),
      })
    } finally {
      time.done()
      this.#open.remove(place)
      running.end(share)
    }
  }

  notify(method: string, params: Params): void {
    if (!this.#ended) this.#options.inner.notify(method, params)
  }

  async listen(wanted: Listening): Promise<Listening> {
    if (this.#ended) throw this.#ended
    return this.#options.inner.listen(wanted)
  }

  close(): void {
    const { server, inner } = this.#options
    if (
      this.#over(
        new Fault('upstream_unavailable', `The conversation with MCP server "${server}" was closed.`),
      )
    )
      inner.close()
  }

  /** Closes, and tells its owner why. */
  end(fault: Error): void {
    if (!this.#over(fault)) return
    this.#options.inner.close()
    this.#options.inbox.ended(fault)
  }

  /** The server ended it. */
  ended(fault: Error): void {
    if (this.#over(fault)) this.#options.inbox.ended(fault)
  }

  #over(fault: Error): boolean {
    if (this.#ended) return false
    this.#ended = fault
    for (const time of this.#open) time.abort(fault)
    this.#options.onOver()
    return true
  }

  #time(method: string, signal: AbortSignal): Deadline {
    const { clock, timeoutMs, server } = this.#options
    return deadline(
      clock,
      timeoutMs,
      () =>
        new Fault(
          'upstream_timeout',
          `MCP server "${server}" did not answer ${method} within ${formatDuration(timeoutMs)}.`,
        ),
      signal,
    )
  }
}

/** While a person thinks about a question of the server, the server's time stands still. */
function whileSuspended(time: Deadline, ask: Ask): Ask {
  return async (method, params, signal, name) => {
    time.suspend()
    try {
      return await ask(method, params, signal, name)
    } finally {
      time.resume()
    }
  }
}

type Told = NonNullable<OutgoingRequest['onNotification']>

const guardedListener =
  (listener: Told, observe: Observe): Told =>
  (method, params) => {
    guarded(observe, () => {
      listener(method, params)
    })
  }

/**
 * An inbox that a fault of its owner cannot reach beyond: one that throws must not end the reading of a stream, nor,
 * where nobody waits for a promise, the process.
 */
export function guardedInbox(inbox: Inbox, observe: Observe): Inbox {
  return {
    notification(method, params) {
      guarded(observe, () => {
        inbox.notification(method, params)
      })
    },
    ask: (method, params, signal) => inbox.ask(method, params, signal),
    ended(fault) {
      guarded(observe, () => {
        inbox.ended(fault)
      })
    },
  }
}

export function guarded(observe: Observe, task: () => void): void {
  try {
    task()
  } catch (error) {
    observe({ kind: 'fault', where: 'upstreams', error })
  }
}
