import type { ServerResponse } from 'node:http'
import { refusal } from '../access/refusal.ts'
import type { Caller } from '../identity/caller.ts'
import { unreachable } from '../lib/unreachable.ts'
import type { Observe } from '../observe/observation.ts'
import type { TraceContext } from '../observe/trace-context.ts'
import type { Pipeline } from '../tools/call.ts'
import type { Calls, CallOutcome } from './calls.ts'
import { faultToRpc, isRpcError, refusalToRpc, stopToRpc } from './error-to-rpc.ts'
import { isObject, type Params, type RequestId } from './message.ts'
import { ACCEPTED, errorReply, type Reply } from './reply.ts'
import { type Revision, STATELESS_REVISION } from '../lib/revisions.ts'
import { RPC_CODE, rpcError, success } from './rpc-error.ts'
import type { Session } from './session.ts'
import { listPage } from './tool-list.ts'
import { doneResult, refusedResult } from './tool-result.ts'

/** A request of any revision, as far as the tool methods care. */
export interface Asked {
  readonly caller: Caller
  readonly requestId: string
  readonly id: RequestId
  readonly params: Params
  readonly revision: Revision
  readonly session?: Session
  readonly response?: ServerResponse
  readonly trace?: TraceContext | undefined
  /** The only message of its HTTP exchange, so that HTTP can carry a status and a challenge for it. */
  readonly alone: boolean
}

export interface ToolMethodParts {
  readonly pipeline: Pipeline
  readonly calls: Calls
  readonly observe: Observe
  readonly requestTimeoutMs: number
  /** JSON text of the `_meta` member with `serverInfo`. */
  readonly serverMeta: string
}

/** Names of tools are short (2026-07-28 tools, "Tool Names"); a longer one is not a name. */
const LONGEST_TOOL_NAME = 256

/** `tools/list` and `tools/call`: the same for every revision, apart from what a revision may be told. */
export class ToolMethods {
  readonly #parts: ToolMethodParts

  constructor(parts: ToolMethodParts) {
    this.#parts = parts
  }

  list(asked: Asked): Reply {
    const { pipeline, serverMeta } = this.#parts
    const page = listPage(pipeline.list(asked.caller), asked.params.cursor, asked.revision, serverMeta)
    return page.ok ? { message: success(asked.id, page.value) } : this.#invalidParams(asked, page.error)
  }

  async call(asked: Asked): Promise<Reply> {
    const { name, arguments: args } = asked.params
    if (typeof name !== 'string' || name.length === 0 || name.length > LONGEST_TOOL_NAME) {
      return this.#invalidParams(asked, `name must be a string of 1 to ${LONGEST_TOOL_NAME} characters`)
    }
    if (args !== undefined && !isObject(args)) {
      return this.#invalidParams(asked, 'arguments must be an object')
    }
    const { calls } = this.#parts
    if (calls.full(asked.caller.credential.id)) {
      return this.#refused(
        asked,
        refusal('too_many_requests', 'calls', 'this credential has too many calls running', {
          allowed: 'the same call when others have been answered',
        }),
      )
    }
    const outcome = await calls.run({
      caller: asked.caller,
      requestId: asked.requestId,
      id: asked.id,
      tool: name,
      args: args ?? {},
      session: asked.session,
      response: asked.response,
      trace: asked.trace,
    })
    try {
      return this.#answer(asked, outcome)
    } catch (fault) {
      // A result that cannot be written as JSON is the tool's defect; the request still gets its answer.
      return this.#answer(asked, { kind: 'failed', fault })
    }
  }

  #answer(asked: Asked, outcome: CallOutcome): Reply {
    switch (outcome.kind) {
      case 'answered':
        return outcome.result.outcome === 'done'
          ? { message: success(asked.id, doneResult(outcome.result, asked.revision, this.#parts.serverMeta)) }
          : this.#refused(asked, outcome.result.refusal)
      case 'failed': {
        this.#parts.observe({
          kind: 'fault',
          where: 'mcp.tools/call',
          error: outcome.fault,
          requestId: asked.requestId,
        })
        return this.#error(asked, faultToRpc(outcome.fault))
      }
      case 'stopped': {
        if (outcome.reason === 'gone') return ACCEPTED
        const why = stopToRpc(outcome.reason, this.#parts.requestTimeoutMs)
        if (!isRpcError(why)) return this.#refused(asked, why)
        const reply = this.#error(asked, why)
        return outcome.reason === 'cancelled' ? { ...reply, silent: true } : reply
      }
      default:
        return unreachable(outcome)
    }
  }

  #refused(asked: Asked, reason: Parameters<typeof refusalToRpc>[0]): Reply {
    const error = refusalToRpc(reason, asked.alone)
    return error
      ? this.#error(asked, error)
      : { message: success(asked.id, refusedResult(reason, asked.revision, this.#parts.serverMeta)) }
  }

  #invalidParams(asked: Asked, message: string): Reply {
    return this.#error(asked, rpcError(200, RPC_CODE.invalidParams, message))
  }

  #error(asked: Asked, error: ReturnType<typeof rpcError>): Reply {
    return errorReply(asked.id, error, asked.revision === STATELESS_REVISION)
  }
}
