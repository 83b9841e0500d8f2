import { Fault } from '../lib/fault.ts'
import { isObject, type Params } from '../lib/json-rpc.ts'
import { type Numbered, NumberedBag } from '../lib/numbered-bag.ts'
import type { Exchange, LinkListener, OpenRequest, RpcLink, RpcMessage, RpcResponse } from './link.ts'
import { parseMessages, readMessage } from './read-messages.ts'
import { writeMessage } from './write-message.ts'

/** A server that answers nothing must not make us keep more requests than this. */
const MOST_PENDING = 4_096

/** A duplex stream of messages: the pipes of a process, or an event stream and the address to post to. */
export interface Channel {
  /**
   * Sends one message, in the order of the calls.
   *
   * @param failed to be called when the message could not be sent and the channel goes on nevertheless
   * @throws Fault `upstream_busy` when too much waits to be sent
   */
  send(text: string, failed: (fault: Error) => void, headers?: Readonly<Record<string, string>>): void
  close(): void
  /** Told of a time-out; `timeouts` in a row since the server last said anything. A stopped process looks like this. */
  silent?(timeouts: number): void
}

/** What `ChannelLink.receive` made of a text. */
export interface Receipt {
  /** Messages that answered no open request: what a flood consists of. */
  readonly unasked: number
  /** True when something in the text was no MCP message. */
  readonly garbage: boolean
  /** Set when the listener wants nothing more before it settles. */
  readonly wait: Promise<void> | undefined
}

/** `RpcLink` over a duplex stream. The transport hands over what arrives, and tells the end. */
export class ChannelLink implements RpcLink {
  readonly singleStream = true
  readonly #channel: Channel
  readonly #pending = new NumberedBag<Pending>()
  #lastId = 0
  #listener: LinkListener | undefined
  #ended: Error | undefined
  #silentTimeouts = 0
  #silentUpTo = 0
  #early: RpcMessage[] = []

  constructor(channel: Channel) {
    this.#channel = channel
  }

  listen(listener: LinkListener): void {
    this.#listener = listener
    const early = this.#early
    this.#early = []
    for (const message of early) if (!isResponse(message)) void listener.message(message)
  }

  request(message: { readonly method: string; readonly params: Params }, exchange: Exchange): OpenRequest {
    if (this.#pending.size >= MOST_PENDING) {
      const busy = new Fault('upstream_busy', 'The MCP server has too many requests to answer.', {
        retryAfterS: 1,
      })
      return { id: -1, answer: Promise.reject(busy) }
    }
    const { promise: answer, resolve, reject } = Promise.withResolvers<RpcResponse>()
    const { signal, headers } = exchange
    const pending: Pending = { number: 0, signal, resolve, reject, onAbort: undefined }
    this.#pending.add(pending)
    const id = pending.number
    this.#lastId = id
    const over = signal.aborted ? (signal.reason as Error) : this.#ended
    if (over !== undefined) {
      this.#settle(pending)
      reject(over)
      return { id, answer }
    }
    pending.onAbort = () => {
      this.#aborted(pending)
    }
    signal.addEventListener('abort', pending.onAbort)
    try {
      const failed = (fault: Error): void => {
        if (this.#settle(pending)) reject(fault)
      }
      this.#channel.send(writeMessage({ kind: 'request', id, ...message }), failed, headers)
    } catch (fault) {
      if (this.#settle(pending)) reject(fault)
    }
    return { id, answer }
  }

  send(message: RpcMessage): void {
    if (this.#ended) return
    this.#channel.send(writeMessage(message), () => undefined)
  }

  agreed(): void {
    // A stream of messages carries no version beside them.
  }

  close(): void {
    this.#end(new Fault('upstream_unavailable', 'The conversation with the MCP server was closed.'))
    this.#listener = undefined
    this.#channel.close()
  }

  /** Takes a text that arrived. */
  receive(text: string): Receipt {
    this.#silentTimeouts = 0
    let values: readonly unknown[]
    try {
      values = parseMessages(text)
    } catch {
      return { unasked: 1, garbage: true, wait: undefined }
    }
    let unasked = 0
    let garbage = false
    const waits: Promise<void>[] = []
    for (const value of values) {
      if (this.#ended) break
      let message: RpcMessage
      try {
        message = readMessage(value)
      } catch (fault) {
        garbage = true
        // A broken answer is the answer to somebody, who would otherwise wait for another until their time is over.
        if (!this.#failPending(value, fault as Error)) unasked += 1
        continue
      }
      if (isResponse(message)) {
        const pending = this.#pending.find(message.id)
        if (pending && this.#settle(pending)) pending.resolve(message)
        else unasked += 1
        continue
      }
      unasked += 1
      if (!this.#listener) {
        if (this.#early.length < MOST_EARLY) this.#early.push(message)
        continue
      }
      const wait = this.#listener.message(message)
      if (wait) waits.push(wait)
    }
    const wait = waits.length > 1 ? Promise.all(waits).then(() => undefined) : waits[0]
    return { unasked, garbage, wait }
  }

  /** The other side ended the channel, or broke it. */
  ended(fault: Error): void {
    if (this.#ended) return
    this.#end(fault)
    this.#listener?.closed(fault)
    this.#listener = undefined
  }

  #end(fault: Error): void {
    this.#ended ??= fault
    for (const pending of this.#pending) if (this.#settle(pending)) pending.reject(this.#ended)
  }

  /** Forgets a request; false when somebody else did. */
  #settle(pending: Pending): boolean {
    if (!this.#pending.remove(pending)) return false
    if (pending.onAbort) pending.signal.removeEventListener('abort', pending.onAbort)
    return true
  }

  #aborted(pending: Pending): void {
    const { signal, number } = pending
    if (!this.#settle(pending)) return
    pending.reject(signal.reason)
    if (!(signal.reason instanceof Fault) || signal.reason.code !== 'upstream_timeout') return
    // Requests that waited side by side are one sign, not several.
    if (number <= this.#silentUpTo) return
    this.#silentUpTo = this.#lastId
    this.#silentTimeouts += 1
    this.#channel.silent?.(this.#silentTimeouts)
  }

  #failPending(value: unknown, fault: Error): boolean {
    const id = isObject(value) && value['method'] === undefined ? value['id'] : undefined
    const pending = this.#pending.find(id)
    if (!pending || !this.#settle(pending)) return false
    pending.reject(fault)
    return true
  }
}

/** Messages kept for the first listener. */
const MOST_EARLY = 16

/** Its number is the id of the request. */
interface Pending extends Numbered {
  readonly signal: AbortSignal
  readonly resolve: (response: RpcResponse) => void
  readonly reject: (reason: unknown) => void
  onAbort: (() => void) | undefined
}

const isResponse = (message: RpcMessage): message is RpcResponse =>
  message.kind === 'result' || message.kind === 'error'
