import type { Refusal } from '../../access/refusal.ts'
import type { RpcFailure } from '../../lib/json-rpc.ts'
import type { Revision } from '../../lib/revisions.ts'
import { unreachable } from '../../lib/unreachable.ts'
import type { ServerFacts } from '../../upstreams/conversation.ts'
import { faultToRpc, isRpcError, refusalToRpc, refusalWithoutResult, stopToRpc } from '../error-to-rpc.ts'
import type { Params, RequestId } from '../message.ts'
import { ACCEPTED, errorReply, type Reply } from '../reply.ts'
import { type RpcError, success } from '../rpc-error.ts'
import { errorFor, pagesAsResult, pagesToVisit } from '../translate/error.ts'
import { serverInfoFor } from '../translate/facts.ts'
import { has } from '../translate/features.ts'
import { resultFor } from '../translate/result.ts'
import { refusedResult } from '../tool-result.ts'
import type { BackendOutcome } from './backend-calls.ts'

/** What an answer must know of its request. */
export interface Answered {
  readonly id: RequestId
  readonly method: string
  readonly revision: Revision
  /** The only message of its HTTP exchange, so that HTTP can carry a status and a challenge for it. */
  readonly alone: boolean
  /** Absent when the server could not be reached at all. */
  readonly about: ServerFacts | undefined
}

/** The outcome of a request as its client may read it. */
export function answerReply(outcome: BackendOutcome, asked: Answered): Reply {
  switch (outcome.kind) {
    case 'answered':
      switch (outcome.answer.kind) {
        case 'result':
          return resultReply(outcome.answer.result, asked)
        case 'error':
          return failureReply(outcome.answer.error, asked)
        case 'refused':
          return refusedReply(outcome.answer.refusal, asked)
        default:
          return unreachable(outcome.answer)
      }
    case 'failed':
      return toError(faultToRpc(outcome.fault), asked)
    case 'stopped': {
      if (outcome.reason === 'gone') return ACCEPTED
      const why = stopToRpc(outcome.reason, 0)
      if (!isRpcError(why)) return refusedReply(why, asked)
      const reply = toError(why, asked)
      return outcome.reason === 'cancelled' ? { ...reply, silent: true } : reply
    }
    default:
      return unreachable(outcome)
  }
}

export function resultReply(result: Params, { id, method, revision, about }: Answered): Reply {
  const info = serverInfoFor(about?.serverInfo ?? {}, revision)
  return { message: success(id, JSON.stringify(resultFor(method, result, revision, info))) }
}

function failureReply(error: RpcFailure, asked: Answered): Reply {
  const pages = pagesToVisit(error)
  if (pages.length > 0 && asked.method === 'tools/call' && !has(asked.revision, 'url_elicitation_error')) {
    return resultReply(pagesAsResult(pages), asked)
  }
  return toError(errorFor(asked.method, error, asked.revision), asked)
}

/** A refused tool call is a result that a model reads; everything else that is refused has only an error. */
export function refusedReply(reason: Refusal, asked: Answered): Reply {
  const error = refusalToRpc(reason, asked.alone)
  if (error) return toError(error, asked)
  if (asked.method !== 'tools/call') return toError({ ...refusalWithoutResult(reason), status: 200 }, asked)
  const serverMeta = `"io.modelcontextprotocol/serverInfo":${JSON.stringify(
    serverInfoFor(asked.about?.serverInfo ?? {}, asked.revision),
  )}`
  return { message: success(asked.id, refusedResult(reason, asked.revision, serverMeta)) }
}

export const toError = (error: RpcError, { id, revision }: Pick<Answered, 'id' | 'revision'>): Reply =>
  errorReply(id, error, has(revision, 'result_type'))
