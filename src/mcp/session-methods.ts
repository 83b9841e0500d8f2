import type { ServerResponse } from 'node:http'
import type { Caller } from '../identity/caller.ts'
import type { TraceContext } from '../observe/trace-context.ts'
import { unreachable } from '../lib/unreachable.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { Message, Params, RequestId } from './message.ts'
import { ACCEPTED, errorReply, type Reply } from './reply.ts'
import { isSessionRevision, LATEST_SESSION_REVISION, type SessionRevision } from '../lib/revisions.ts'
import { RPC_CODE, type RpcError, rpcError, success } from './rpc-error.ts'
import type { Session } from './session.ts'
import type { ToolMethods } from './tool-methods.ts'

const LONGEST_VERSION = 64

export const LIST_CHANGED = '{"jsonrpc":"2.0","method":"notifications/tools/list_changed"}'

/** One message of the revisions that have sessions, with what its transport knows of it. */
export interface SessionContext {
  readonly caller: Caller
  readonly requestId: string
  readonly revision: SessionRevision
  readonly session?: Session
  readonly response?: ServerResponse
  readonly trace?: TraceContext | undefined
  readonly alone: boolean
}

export interface ServerInfo {
  readonly name: string
  readonly title?: string
  readonly version: string
}

/** What a client should know before it calls anything; the same on every revision. */
export const INSTRUCTIONS =
  'Tools are listed as far as this credential may use them. A refused call says which rule refused and what is allowed instead.'

/** Everything a 2024-11-05 to 2025-11-25 client may send after `initialize`; that one belongs to the transports. */
export class SessionMethods {
  readonly #tools: ToolMethods
  readonly #serverInfo: ServerInfo

  constructor(tools: ToolMethods, serverInfo: ServerInfo) {
    this.#tools = tools
    this.#serverInfo = serverInfo
  }

  /** Answers one message. Notifications and stray responses are acknowledged, whatever they say. */
  answer(message: Message, context: SessionContext): Reply | Promise<Reply> {
    switch (message.kind) {
      case 'request':
        return this.#request(message.id, message.method, message.params, context)
      case 'notification':
        if (message.method === 'notifications/cancelled') cancel(message.params, context.session)
        return ACCEPTED
      case 'response':
        return ACCEPTED
      case 'invalid':
        return errorReply(message.id, rpcError(400, message.code, message.message))
      default:
        return unreachable(message)
    }
  }

  #request(id: RequestId, method: string, params: Params, context: SessionContext): Reply | Promise<Reply> {
    // A switch and never a table: a method called `constructor` or `__proto__` must be nothing but unknown.
    switch (method) {
      case 'tools/call':
        return this.#tools.call({ ...context, id, params })
      case 'tools/list':
        return this.#tools.list({ ...context, id, params })
      case 'ping':
        return { message: success(id, '{}') }
      default:
        return errorReply(id, rpcError(200, RPC_CODE.methodNotFound, `there is no method "${method}" here`))
    }
  }

  /** The revision to speak with a client that sent `initialize` (2025-11-25 lifecycle, "Version Negotiation"). */
  negotiate({ protocolVersion }: Params): Result<SessionRevision, RpcError> {
    if (typeof protocolVersion !== 'string' || protocolVersion.length > LONGEST_VERSION) {
      return err(
        rpcError(200, RPC_CODE.invalidParams, 'protocolVersion must be a string such as "2025-11-25"'),
      )
    }
    return ok(isSessionRevision(protocolVersion) ? protocolVersion : LATEST_SESSION_REVISION)
  }

  /** Serialises the response to `initialize`. */
  initialized(id: RequestId, revision: SessionRevision): string {
    const { name, version, title } = this.#serverInfo
    return success(
      id,
      JSON.stringify({
        protocolVersion: revision,
        capabilities: { tools: { listChanged: true } },
        serverInfo: {
          name,
          ...(title !== undefined && revision >= '2025-06-18' ? { title } : {}),
          version,
        },
        instructions: INSTRUCTIONS,
      }),
    )
  }
}

/** Stops the running call with that id in the same session; anything else is ignored (2025-11-25 cancellation). */
function cancel(params: Params, session: Session | undefined): void {
  const { requestId } = params
  if (typeof requestId === 'string' || typeof requestId === 'number') {
    session?.calls?.get(requestId)?.stop('cancelled')
  }
}
