import type { Caller } from '../../identity/caller.ts'
import type { Clock } from '../../lib/clock.ts'
import { Fault } from '../../lib/fault.ts'
import { LATEST_SESSION_REVISION } from '../../lib/revisions.ts'
import type { ClientFacts, Conversation, Inbox } from '../../upstreams/conversation.ts'
import type { Upstream } from '../../upstreams/upstream.ts'
import { allPages } from './all-pages.ts'
import type { Catalogue } from './catalogue.ts'

/** A tool that a list did not have is looked for again after this, and not at every call. */
const AGAIN_AFTER_MS = 60_000

/** Beyond these many credentials the oldest answers are forgotten. */
const MOST_REMEMBERED = 1_000

/** A look-up speaks for nobody's client: it can be asked nothing. */
const NOBODY: ClientFacts = {
  clientInfo: { name: 'postern', version: '1' },
  capabilities: {},
  revision: LATEST_SESSION_REVISION,
}

const DEAF: Inbox = {
  notification: () => undefined,
  ask: async () => ({ kind: 'error', error: { code: -32601, message: 'there is no client' } }),
  ended: () => undefined,
}

/** Lists the tools of a server for a decision that needs to know what a tool says it does. */
export class LookUps {
  readonly #catalogue: Catalogue
  readonly #clock: Clock
  /** By credential, because a server may show each another list. */
  readonly #byCredential = new Map<string, { readonly at: number; readonly done: Promise<void> }>()

  constructor(catalogue: Catalogue, clock: Clock) {
    this.#catalogue = catalogue
    this.#clock = clock
  }

  /**
   * Resolves when the list was learnt; undefined when it was a moment ago.
   *
   * @param conversation one of the caller's, when there is one; otherwise one is opened and closed again
   * @throws Fault (as a rejection) when the server does not answer
   */
  lookUp(
    upstream: Upstream,
    caller: Caller,
    conversation: Conversation | undefined,
  ): Promise<void> | undefined {
    const { id } = caller.credential
    const before = this.#byCredential.get(id)
    const now = this.#clock.now()
    if (before && now - before.at < AGAIN_AFTER_MS) return before.done
    const done = this.#learn(upstream, caller, conversation)
    this.#byCredential.delete(id)
    this.#byCredential.set(id, { at: now, done })
    if (this.#byCredential.size > MOST_REMEMBERED) {
      for (const oldest of this.#byCredential.keys()) {
        this.#byCredential.delete(oldest)
        break
      }
    }
    // Asked anew at the next call: the server may be back by then.
    done.catch(() => {
      if (this.#byCredential.get(id)?.done === done) this.#byCredential.delete(id)
    })
    return done
  }

  forget(): void {
    this.#byCredential.clear()
  }

  async #learn(upstream: Upstream, caller: Caller, conversation: Conversation | undefined): Promise<void> {
    const { timeoutMs, connectTimeoutMs } = upstream.options.limits
    const over = new AbortController()
    const cancel = this.#clock.after(connectTimeoutMs + timeoutMs, () => {
      over.abort(new Fault('upstream_timeout', 'The MCP server did not list its tools in time.'))
    })
    try {
      if (conversation) {
        await this.#learnFrom(conversation, over.signal)
        return
      }
      const begun = await upstream.converse(caller, NOBODY, DEAF, over.signal)
      // Without its own credential there the caller cannot call the tool either, and is told so when it tries.
      if (!begun.ok) return
      try {
        await this.#learnFrom(begun.value, over.signal)
      } finally {
        begun.value.close()
      }
    } finally {
      cancel()
    }
  }

  async #learnFrom(conversation: Conversation, signal: AbortSignal): Promise<void> {
    const tools = await allPages(
      (params) => conversation.request({ method: 'tools/list', params, signal }),
      'tools',
    )
    if (tools.ok) this.#catalogue.learn(tools.value)
  }
}
