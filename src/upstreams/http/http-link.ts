import { Bag } from '../../lib/bag.ts'
import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import type { Params, RequestId } from '../../lib/json-rpc.ts'
import type { Revision } from '../../lib/revisions.ts'
import type { Exchange, LinkListener, OpenRequest, RpcLink, RpcNotification, RpcResponse } from '../link.ts'
import type { UpstreamLimits } from '../options.ts'
import type { Peer } from './judge-error.ts'
import type { Send } from './send.ts'
import { unlessAborted } from '../../lib/unless-aborted.ts'

export interface HttpLinkParts {
  readonly peer: Peer
  readonly send: Send
  readonly clock: Clock
  readonly limits: UpstreamLimits
  /** The server does not speak what it was taken to speak: it should be found out again. */
  doubted(): void
}

export interface Outgoing {
  readonly id: RequestId
  readonly method: string
  readonly params: Params
}

/** What the two ways to speak JSON-RPC by one POST for each message have in common. */
export abstract class HttpLink implements RpcLink {
  readonly singleStream = false
  protected readonly parts: HttpLinkParts
  protected listener: LinkListener | undefined
  readonly #running = new Bag<AbortController>()
  #lastId = 0
  #ended: Error | undefined

  constructor(parts: HttpLinkParts) {
    this.parts = parts
  }

  listen(listener: LinkListener): void {
    this.listener = listener
  }

  request(message: { readonly method: string; readonly params: Params }, exchange: Exchange): OpenRequest {
    const id = (this.#lastId += 1)
    const answer = this.during(exchange.signal, (signal) =>
      this.exchange({ id, ...message }, { ...exchange, signal }),
    )
    return { id, answer }
  }

  abstract send(message: RpcNotification | RpcResponse): void
  abstract agreed(revision: Revision): void
  protected abstract exchange(message: Outgoing, exchange: Exchange): Promise<RpcResponse>

  close(): void {
    this.listener = undefined
    this.finish(new Fault('upstream_unavailable', 'The conversation with the MCP server was closed.'))
  }

  get over(): boolean {
    return this.#ended !== undefined
  }

  /** Runs something that ends with the link, and with `parent` where there is one. */
  protected async during<T>(
    parent: AbortSignal | undefined,
    run: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    parent?.throwIfAborted()
    if (this.#ended) throw this.#ended
    const controller = new AbortController()
    const onAbort = (): void => {
      controller.abort(parent?.reason)
    }
    parent?.addEventListener('abort', onAbort)
    const place = this.#running.add(controller)
    try {
      return await unlessAborted(run(controller.signal), controller.signal)
    } finally {
      this.#running.remove(place)
      parent?.removeEventListener('abort', onAbort)
    }
  }

  /** The server ended the conversation. */
  protected lost(fault: Fault): void {
    if (this.#ended) return
    const { listener } = this
    this.listener = undefined
    this.finish(fault)
    listener?.closed(fault)
  }

  protected finish(reason: Error): void {
    if (this.#ended) return
    this.#ended = reason
    for (const controller of this.#running) controller.abort(reason)
  }
}

export const POSTED = {
  'content-type': 'application/json',
  accept: 'application/json, text/event-stream',
} as const
