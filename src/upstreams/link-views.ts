import { isObject, type Params, type RequestId } from '../lib/json-rpc.ts'
import { type Numbered, NumberedBag } from '../lib/numbered-bag.ts'
import type { Exchange, LinkListener, OpenRequest, RpcLink, ServerMessage } from './link.ts'
import { subscriptionOf } from './stateless-meta.ts'

/**
 * Lets several stateless conversations use one stream as if each had its own: a notification reaches the view
 * whose request it belongs to. Requests of the server, which the revision does not have, are refused.
 */
export class LinkViews {
  readonly #link: RpcLink
  readonly #strangers: boolean
  readonly #views = new Set<View>()
  readonly #running = new NumberedBag<Running>()
  /** The requests that stay open, whose messages name them. */
  readonly #subscriptions = new Map<RequestId, View>()

  /** @param strangers true when the views belong to several callers */
  constructor(link: RpcLink, strangers: boolean) {
    this.#link = link
    this.#strangers = strangers
    link.listen({
      message: (message) => this.#route(message),
      closed: (fault) => {
        const views = [...this.#views]
        this.#views.clear()
        for (const view of views) view.listener?.closed(fault)
      },
    })
  }

  /** @param onClose called when the view was closed by its user */
  view(onClose: () => void): RpcLink {
    const view: View = { listener: undefined }
    this.#views.add(view)
    return {
      singleStream: true,
      listen: (listener) => {
        view.listener = listener
      },
      request: (message, exchange) =>
        message.method === 'subscriptions/listen'
          ? this.#subscribe(view, message, exchange)
          : this.#request(view, message, exchange),
      send: (message) => {
        this.#link.send(message)
      },
      agreed: (revision) => {
        this.#link.agreed(revision)
      },
      close: () => {
        if (!this.#views.delete(view)) return
        view.listener = undefined
        onClose()
      },
    }
  }

  /** Every view counts its own progress tokens from one: they are replaced by numbers of this stream. */
  #request(
    view: View,
    { method, params }: { readonly method: string; readonly params: Params },
    exchange: Exchange,
  ): OpenRequest {
    const meta = params['_meta']
    const token = isObject(meta) ? meta['progressToken'] : undefined
    const running: Running = { number: 0, view, token }
    this.#running.add(running)
    const open = this.#link.request(
      {
        method,
        params:
          token === undefined || !isObject(meta)
            ? params
            : { ...params, _meta: { ...meta, progressToken: running.number } },
      },
      exchange,
    )
    return {
      id: open.id,
      answer: open.answer.finally(() => {
        this.#running.remove(running)
      }),
    }
  }

  /** One that stays open as long as its conversation: nothing but what names it belongs to it. */
  #subscribe(
    view: View,
    message: { readonly method: string; readonly params: Params },
    exchange: Exchange,
  ): OpenRequest {
    const open = this.#link.request(message, exchange)
    this.#subscriptions.set(open.id, view)
    return {
      id: open.id,
      answer: open.answer.finally(() => {
        this.#subscriptions.delete(open.id)
      }),
    }
  }

  #route(message: ServerMessage): void | Promise<void> {
    if (message.kind === 'request') {
      this.#refuse(message.id)
      return
    }
    const { method, params } = message
    if (method === 'notifications/progress') {
      const running = this.#running.find(params['progressToken'])
      return running?.view.listener?.message({
        ...message,
        params: { ...params, progressToken: running.token },
      })
    }
    const named = method === 'notifications/cancelled' ? params['requestId'] : subscriptionOf(params)
    if (typeof named === 'string' || typeof named === 'number')
      return this.#subscriptions.get(named)?.listener?.message(message)
    return this.#likely()?.listener?.message(message)
  }

  #refuse(id: RequestId): void {
    try {
      this.#link.send({
        kind: 'error',
        id,
        error: { code: -32_601, message: 'This revision has no requests of the server.' },
      })
    } catch {
      // Its input is full; a server that reads nothing gets no answers.
    }
  }

  /**
   * Whose message it is that names no request, such as a log message: the view's whose request began last. Among
   * strangers nobody's: a call may go on telling when it is over and only those of another caller run.
   */
  #likely(): View | undefined {
    return this.#strangers ? undefined : this.#running.latest(() => true)?.view
  }
}

/** A request of a view; its number is its progress token on the stream. */
interface Running extends Numbered {
  readonly view: View
  /** The progress token that the view knows it by. */
  readonly token: unknown
}

interface View {
  listener: LinkListener | undefined
}
