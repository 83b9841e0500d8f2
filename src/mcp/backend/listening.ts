import type { Listening as Wanted } from '../../upstreams/conversation.ts'
import type { EventStream, EventStreams } from '../event-stream.ts'
import type { McpExchange } from '../exchange.ts'
import type { Holdings, Listener } from '../holdings.ts'
import { isObject, type Params, type RequestId } from '../message.ts'
import { acceptsEventStream, errorReply, type Reply } from '../reply.ts'
import { RPC_CODE, rpcError, success } from '../rpc-error.ts'
import { tooManyStreams } from '../session-errors.ts'
import { notificationFor } from '../translate/notification.ts'
import { STATELESS_REVISION } from '../../lib/revisions.ts'
import { refusedReply } from './answer.ts'
import { notificationText } from './frame.ts'
import type { KeptConversation, Subscriber } from './kept-conversation.ts'
import type { KeptConversations } from './kept-conversations.ts'
import { SUBSCRIPTIONS_PER_CLIENT } from './remembered.ts'

const SUBSCRIPTION_ID = 'io.modelcontextprotocol/subscriptionId'
const LONGEST_URI = 4_096

export interface ListeningParts {
  readonly kept: KeptConversations
  readonly holdings: Holdings
  readonly streams: EventStreams
  readonly maxStreams: number
  readonly maxStreamsPerCredential: number
}

/** `subscriptions/listen` with a server (2026-07-28 subscriptions). */
export class Listening {
  readonly #parts: ListeningParts
  /** What each open stream was granted, by the conversation they share. */
  readonly #granted = new WeakMap<KeptConversation, Map<Subscriber, Wanted>>()

  constructor(parts: ListeningParts) {
    this.#parts = parts
  }

  /** Opens a stream of changes. It says first what it will tell, then tells only that. */
  async open(
    id: RequestId,
    params: Params,
    exchange: McpExchange,
    kept: KeptConversation,
  ): Promise<Reply | undefined> {
    const { streams, maxStreams, maxStreamsPerCredential, holdings } = this.#parts
    const { caller, requestId, request, response } = exchange
    const wanted = isObject(params.notifications) ? wantedOf(params.notifications) : undefined
    if (!wanted) {
      return errorReply(
        id,
        rpcError(200, RPC_CODE.invalidParams, 'notifications must be a valid filter'),
        true,
      )
    }
    if (!acceptsEventStream(request.headers.accept)) {
      const text = 'the reply is an event stream: accept text/event-stream'
      return errorReply(id, rpcError(406, RPC_CODE.notAcceptable, text), true)
    }
    const credentialId = caller.credential.id
    const held = holdings.peek(credentialId)?.listeners.size ?? 0
    if (streams.size >= maxStreams || held >= maxStreamsPerCredential) {
      const limit = held >= maxStreamsPerCredential ? maxStreamsPerCredential : maxStreams
      return errorReply(id, tooManyStreams(limit), true)
    }
    let granted: Wanted | undefined
    const subscriber: Subscriber = {
      notification(method, told) {
        const known =
          granted && tells(granted, method, told) && notificationFor(method, told, STATELESS_REVISION)
        if (known) stream?.send(tagged(method, known, id))
      },
      ended() {
        stream?.send(
          success(id, `{"resultType":"complete","_meta":{"${SUBSCRIPTION_ID}":${JSON.stringify(id)}}}`),
        )
        stream?.end()
      },
    }
    let stream: EventStream | undefined
    const all = this.#of(kept)
    all.set(subscriber, wanted)
    const agreed = await kept.live.listen(caller, requestId, union(all.values()))
    if (!agreed.ok || response.destroyed) {
      all.delete(subscriber)
      if (agreed.ok) return undefined
      const asked = { id, method: 'subscriptions/listen', revision: STATELESS_REVISION, alone: true } as const
      return refusedReply(agreed.error, { ...asked, about: kept.live.open?.about })
    }
    granted = intersection(wanted, agreed.value)
    all.set(subscriber, granted)
    const holding = holdings.of(credentialId)
    const listener: Listener = {
      toolsChanged: () => subscriber.notification('notifications/tools/list_changed', {}),
      end: () => subscriber.ended(),
    }
    stream = streams.open(response, () => {
      holding.listeners.delete(listener)
      kept.subscribers.delete(subscriber)
      all.delete(subscriber)
      holdings.settle(credentialId, holding)
      this.#parts.kept.release(kept)
      this.#listenAgain(exchange, kept)
    })
    kept.uses += 1
    kept.subscribers.add(subscriber)
    holding.listeners.add(listener)
    stream.send(tagged('notifications/subscriptions/acknowledged', { notifications: granted }, id))
    return undefined
  }

  #of(kept: KeptConversation): Map<Subscriber, Wanted> {
    let all = this.#granted.get(kept)
    if (!all) this.#granted.set(kept, (all = new Map()))
    return all
  }

  /** The server is asked for no more than the streams that are left want to hear. */
  #listenAgain({ caller, requestId }: McpExchange, kept: KeptConversation): void {
    if (!kept.live.open) return
    kept.live.listen(caller, requestId, union(this.#of(kept).values())).catch(() => undefined)
  }
}

const tagged = (method: string, params: Params, id: RequestId): string =>
  notificationText(method, {
    ...params,
    _meta: { ...(isObject(params._meta) ? params._meta : {}), [SUBSCRIPTION_ID]: id },
  })

function wantedOf(filter: Params): Wanted | undefined {
  const { resourceSubscriptions: uris } = filter
  const wanted = {
    ...(filter.toolsListChanged === true ? { toolsListChanged: true } : {}),
    ...(filter.promptsListChanged === true ? { promptsListChanged: true } : {}),
    ...(filter.resourcesListChanged === true ? { resourcesListChanged: true } : {}),
  }
  if (uris === undefined) return wanted
  if (!Array.isArray(uris) || uris.length > SUBSCRIPTIONS_PER_CLIENT) return undefined
  if (!uris.every((uri: unknown) => typeof uri === 'string' && uri.length <= LONGEST_URI)) return undefined
  return { ...wanted, resourceSubscriptions: uris as readonly string[] }
}

function tells(granted: Wanted, method: string, { uri }: Params): boolean {
  switch (method) {
    case 'notifications/tools/list_changed':
      return granted.toolsListChanged === true
    case 'notifications/prompts/list_changed':
      return granted.promptsListChanged === true
    case 'notifications/resources/list_changed':
      return granted.resourcesListChanged === true
    case 'notifications/resources/updated':
      // A server may name a part of what was subscribed to (2025-11-25 schema, `ResourceUpdatedNotification`).
      return (
        typeof uri === 'string' &&
        granted.resourceSubscriptions?.some((whole) => uri.startsWith(whole)) === true
      )
    default:
      return false
  }
}

function union(all: Iterable<Wanted>): Wanted {
  const wanted = [...all]
  const uris = new Set(wanted.flatMap(({ resourceSubscriptions }) => resourceSubscriptions ?? []))
  return {
    ...(wanted.some(({ toolsListChanged }) => toolsListChanged) ? { toolsListChanged: true } : {}),
    ...(wanted.some(({ promptsListChanged }) => promptsListChanged) ? { promptsListChanged: true } : {}),
    ...(wanted.some(({ resourcesListChanged }) => resourcesListChanged)
      ? { resourcesListChanged: true }
      : {}),
    ...(uris.size > 0 ? { resourceSubscriptions: [...uris] } : {}),
  }
}

/** Of changes to tools Postern itself knows, whatever the server tells. */
function intersection(wanted: Wanted, can: Wanted): Wanted {
  const uris = wanted.resourceSubscriptions?.filter((uri) => can.resourceSubscriptions?.includes(uri))
  return {
    ...(wanted.toolsListChanged ? { toolsListChanged: true } : {}),
    ...(wanted.promptsListChanged && can.promptsListChanged ? { promptsListChanged: true } : {}),
    ...(wanted.resourcesListChanged && can.resourcesListChanged ? { resourcesListChanged: true } : {}),
    ...(uris ? { resourceSubscriptions: uris } : {}),
  }
}
