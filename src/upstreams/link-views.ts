import { isObject, type Params, type RequestId } from '../lib/json-rpc.ts'
import type { Exchange, LinkListener, OpenRequest, RpcLink, ServerMessage } from './link.ts'

const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId'

/**
 * Lets several stateless conversations use one stream as if each had its own: a notification reaches the view
 * whose request it belongs to. Requests of the server, which the revision does not have, are refused.
 */
export class LinkViews {
  readonly #link: RpcLink
  readonly #strangers: boolean
  readonly #views = new Set<View>()
  readonly #owners = new Map<RequestId, Owner>()
  readonly #tokens = new Map<number, { readonly view: View; readonly token: unknown }>()
  #lastToken = 0

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
      request: (message, exchange) => this.#request(view, message, exchange),
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

  #request(
    view: View,
    { method, params }: { readonly method: string; readonly params: Params },
    exchange: Exchange,
  ): OpenRequest {
    // Every view counts its own tokens from one.
    const meta = params['_meta']
    const token = isObject(meta) ? meta['progressToken'] : undefined
    const own = token === undefined ? undefined : (this.#lastToken += 1)
    if (own !== undefined) this.#tokens.set(own, { view, token })
    const open = this.#link.request(
      {
        method,
        params:
          own === undefined || !isObject(meta)
            ? params
            : { ...params, _meta: { ...meta, progressToken: own } },
      },
      exchange,
    )
    this.#owners.set(open.id, { view, method })
    const over = (): void => {
      this.#owners.delete(open.id)
      if (own !== undefined) this.#tokens.delete(own)
    }
    return {
      id: open.id,
      answer: open.answer.finally(over),
    }
  }

  #route(message: ServerMessage): void | Promise<void> {
    if (message.kind === 'request') {
      this.#refuse(message.id)
      return
    }
    const { method, params } = message
    if (method === 'notifications/progress') {
      const known = this.#tokens.get(params['progressToken'] as number)
      return known?.view.listener?.message({
        ...message,
        params: { ...params, progressToken: known.token },
      })
    }
    const meta = params['_meta']
    const subscription = isObject(meta) ? meta[SUBSCRIPTION_ID] : undefined
    if (typeof subscription === 'string' || typeof subscription === 'number')
      return this.#owners.get(subscription)?.view.listener?.message(message)
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
    if (this.#strangers) return undefined
    let last: View | undefined
    for (const { view, method } of this.#owners.values()) {
      // Stays open as long as its conversation, and has messages that name it.
      if (method === 'subscriptions/listen') continue
      last = view
    }
    return last
  }
}

interface Owner {
  readonly view: View
  readonly method: string
}

interface View {
  listener: LinkListener | undefined
}
