import type { Caller } from '../../identity/caller.ts'
import { Bag } from '../../lib/bag.ts'
import { Fault } from '../../lib/fault.ts'
import { ok } from '../../lib/result.ts'
import type { Conversation } from '../conversation.ts'
import type { DirectReceiver, DirectRoute } from '../direct-route.ts'
import type { Upstream, Upstreams } from '../upstream.ts'
import { type CredentialPlace, placeOf } from '../user-credentials.ts'
import { wrapUpstreams } from '../wrap-upstreams.ts'

type End = (fault: Fault) => void

/**
 * The same servers, where whatever was begun with a principal's credential ends when that is changed or removed:
 * a session or a process of the old one would go on for as long as it likes.
 */
export function endOnChange(
  upstreams: Upstreams,
  credentials: { onChange(heard: (place: CredentialPlace) => void): () => void },
): Upstreams {
  const holders = new Holders()
  const forget = credentials.onChange((place) => {
    holders.end(place)
  })
  return wrapUpstreams(
    upstreams,
    (upstream) => (upstream.options.userCredential ? holding(upstream, holders) : upstream),
    forget,
  )
}

/** What is open with a credential, by its place. */
class Holders {
  readonly #bags = new Map<string, Bag<End>>()

  hold(place: CredentialPlace, end: End): () => void {
    const key = JSON.stringify([place.tenant, place.principal, place.server])
    let bag = this.#bags.get(key)
    if (!bag) this.#bags.set(key, (bag = new Bag()))
    const at = bag.add(end)
    return () => {
      bag.remove(at)
      if (bag.size === 0 && this.#bags.get(key) === bag) this.#bags.delete(key)
    }
  }

  /** A holder that throws does not spare the others. */
  end(place: CredentialPlace): void {
    const key = JSON.stringify([place.tenant, place.principal, place.server])
    const bag = this.#bags.get(key)
    if (!bag) return
    this.#bags.delete(key)
    const fault = new Fault(
      'credential_changed',
      `The credential for MCP server "${place.server}" was changed or removed.`,
    )
    const faults: unknown[] = []
    for (const end of bag) {
      try {
        end(fault)
      } catch (error) {
        faults.push(error)
      }
    }
    if (faults.length > 0) throw new AggregateError(faults, `ending a credential for ${place.server}`)
  }
}

function holding(upstream: Upstream, holders: Holders): Upstream {
  const { name, options } = upstream
  return {
    name,
    options,
    status: () => upstream.status(),

    async converse(caller, client, inbox, signal) {
      const ending = new AbortController()
      let conversation: Conversation | undefined
      // From before the credential is looked up: a change meanwhile must not be missed.
      const release = once(
        holders.hold(placeOf(caller, name), (fault) => {
          ending.abort(fault)
          conversation?.close()
          if (conversation) inbox.ended(fault)
        }),
      )
      const ended = (fault: Error): void => {
        release()
        if (!ending.signal.aborted) inbox.ended(fault)
      }
      try {
        const begun = await upstream.converse(
          caller,
          client,
          {
            notification: (method, params) => {
              inbox.notification(method, params)
            },
            ask: (method, params, asked) => inbox.ask(method, params, asked),
            ended,
          },
          AbortSignal.any([signal, ending.signal]),
        )
        if (!begun.ok) {
          release()
          return begun
        }
        if (ending.signal.aborted) {
          begun.value.close()
          throw ending.signal.reason
        }
        conversation = begun.value
        return ok(releasing(begun.value, release))
      } catch (error) {
        release()
        throw error
      }
    },

    direct(caller, client) {
      const route = upstream.direct(caller, client)
      return route && holdingRoute(route, caller, name, holders)
    },
  }
}

const releasing = (conversation: Conversation, release: () => void): Conversation => ({
  get about() {
    return conversation.about
  },
  request: (call) => conversation.request(call),
  notify: (method, params) => {
    conversation.notify(method, params)
  },
  listen: (wanted) => conversation.listen(wanted),
  close: () => {
    release()
    conversation.close()
  },
})

function holdingRoute(route: DirectRoute, caller: Caller, server: string, holders: Holders): DirectRoute {
  return {
    get revision() {
      return route.revision
    },
    get spoken() {
      return route.spoken
    },
    send(request) {
      const { receiver } = request
      let abort: ((reason: Error) => void) | undefined
      let over: Fault | undefined
      const release = once(
        holders.hold(placeOf(caller, server), (fault) => {
          over = fault
          abort?.(fault)
          receiver.failed(fault)
        }),
      )
      const held: DirectReceiver = {
        started(control) {
          abort = (reason) => {
            release()
            control.abort(reason)
          }
          if (over) control.abort(over)
          else receiver.started({ abort, resume: () => control.resume() })
        },
        headers: (status, headers) => {
          if (!over) receiver.headers(status, headers)
        },
        chunk: (bytes) => over !== undefined || receiver.chunk(bytes),
        ended() {
          release()
          if (!over) receiver.ended()
        },
        failed(fault) {
          release()
          if (!over) receiver.failed(fault)
        },
      }
      route.send({ ...request, receiver: held })
    },
  }
}

function once(task: () => void): () => void {
  let done = false
  return () => {
    if (done) return
    done = true
    task()
  }
}
