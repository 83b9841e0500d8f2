import type { Caller } from '../../identity/caller.ts'
import type { Revision } from '../../lib/revisions.ts'
import type { Observe } from '../../observe/observation.ts'
import type { TraceContext } from '../../observe/trace-context.ts'
import type { GuardedAnswer, GuardedRequest } from '../../tools/backend/backend.ts'
import { Fault } from '../../lib/fault.ts'
import { isObject, type Params } from '../message.ts'
import { RPC_CODE } from '../rpc-error.ts'
import { notificationFor } from '../translate/notification.ts'
import type { BackendOutcome } from './backend-calls.ts'
import type { LiveConversation } from './live-conversation.ts'
import { isWanted } from '../../lib/log-level.ts'
import { carriedParams, isForwarded, mayAsk } from './methods.ts'
import type { ReplyStream } from './reply-stream.ts'

/** One request of a client to a server. */
export interface Forwarded {
  readonly caller: Caller
  readonly requestId: string
  readonly method: string
  readonly params: Params
  readonly revision: Revision
  readonly live: LiveConversation
  readonly reply: ReplyStream
  readonly trace: TraceContext | undefined
  /** The least severe log message of this request; `null` for none (2026-07-28), absent where the session has a level. */
  readonly logLevel?: string | null
}

/** Sends a request on to its server. What the server says before the answer goes to the reply. */
export async function forward(asked: Forwarded, signal: AbortSignal): Promise<GuardedAnswer> {
  const { caller, requestId, method, revision, live, reply, trace, logLevel } = asked
  const opened = await live.get(caller, requestId)
  if (!opened.ok) return { kind: 'refused', refusal: opened.error }
  const { about } = opened.value
  if (!isForwarded(method, revision, about)) return noSuchMethod(method)
  const onNotification = listener(asked)
  const ask = reply.ask && mayAsk(method) ? reply.ask : undefined
  const request: GuardedRequest = {
    caller,
    requestId,
    wire: 'mcp',
    method,
    params: carriedParams(asked.params, revision, about),
    signal,
    ...(typeof logLevel === 'string' ? { logLevel } : {}),
    ...(trace === undefined ? {} : { trace }),
    ...(onNotification === undefined ? {} : { onNotification }),
    ...(ask === undefined ? {} : { ask }),
  }
  return await live.request(request)
}

export const noSuchMethod = (method: string): GuardedAnswer => ({
  kind: 'error',
  error: { code: RPC_CODE.methodNotFound, message: `there is no method "${method}" here` },
})

/** Absent when the client wants to hear of nothing: the server then need not tell. */
function listener({ reply, params, revision, logLevel }: Forwarded): GuardedRequest['onNotification'] {
  if (!reply.tells) return undefined
  const token = isObject(params._meta) ? params._meta.progressToken : undefined
  const wantsProgress = typeof token === 'string' || typeof token === 'number'
  if (!wantsProgress && logLevel === null) return undefined
  return (method, told) => {
    const known = notificationFor(method, told, revision)
    if (!known) return
    switch (method) {
      case 'notifications/progress':
        // The client's own token: whatever token there is between Postern and the server is nobody's business.
        if (wantsProgress) reply.notify(method, { ...known, progressToken: token }, true)
        return
      case 'notifications/message':
        if (logLevel === null) return
        if (isWanted(known.level, logLevel)) reply.notify(method, known, true)
        return
      default:
        reply.notify(method, known, false)
    }
  }
}

/** A server that is away tells of itself; anything else that was thrown is worth a line in the log. */
export function noteFault(outcome: BackendOutcome, requestId: string, observe: Observe): void {
  if (outcome.kind !== 'failed') return
  if (outcome.fault instanceof Fault && outcome.fault.code.startsWith('upstream_')) return
  observe({ kind: 'fault', where: 'mcp.backend', error: outcome.fault, requestId })
}
