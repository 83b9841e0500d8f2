import { isObject, type Params, type RpcFailure } from '../../lib/json-rpc.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { AskAnswer, ClientFacts } from '../../upstreams/conversation.ts'
import { RPC_CODE } from '../rpc-error.ts'
import { contentsFor } from './content.ts'
import { type Carried, elicitationFor } from './elicitation.ts'
import { has } from './features.ts'
import { without } from './without.ts'

/**
 * A request of a server as its client may get it. What the client did not declare, or has no form for in its
 * revision, is answered to the server with an error instead: it must never wait for an answer that cannot come.
 */
export function serverRequestFor(
  method: string,
  params: Params,
  { capabilities, revision }: Pick<ClientFacts, 'capabilities' | 'revision'>,
): Result<Carried, RpcFailure> {
  const carried = without(params, 'task')
  switch (method) {
    case 'roots/list':
      return isObject(capabilities.roots) ? ok({ params: carried }) : cannot('roots')
    case 'sampling/createMessage':
      return isObject(capabilities.sampling)
        ? samplingFor(carried, capabilities.sampling, revision)
        : cannot('sampling')
    case 'elicitation/create':
      return isObject(capabilities.elicitation) && has(revision, 'elicitation')
        ? elicitationFor(carried, capabilities.elicitation, revision)
        : cannot('elicitation')
    default:
      return err({
        code: RPC_CODE.methodNotFound,
        message: `clients have no method "${method.slice(0, 64)}"`,
      })
  }
}

const cannot = (capability: string): Result<Carried, RpcFailure> =>
  err({ code: RPC_CODE.methodNotFound, message: `the client did not declare ${capability}` })

function samplingFor(
  params: Params,
  capability: Params,
  revision: ClientFacts['revision'],
): Result<Carried, RpcFailure> {
  const wantsTools = params.tools !== undefined || params.toolChoice !== undefined
  if (wantsTools && (!has(revision, 'sampling_tools') || !isObject(capability.tools))) {
    return err({ code: RPC_CODE.invalidParams, message: 'the client did not declare sampling.tools' })
  }
  if (has(revision, 'sampling_parts') || !Array.isArray(params.messages)) return ok({ params })
  const messages = params.messages.flatMap((message: unknown) => messagesFor(message, revision))
  return ok({ params: { ...params, messages } })
}

/** Before a message could have several parts, each part was a message. */
function messagesFor(message: unknown, revision: ClientFacts['revision']): readonly unknown[] {
  if (!isObject(message)) return [message]
  const parts: readonly unknown[] = Array.isArray(message.content) ? message.content : [message.content]
  return contentsFor(parts, revision).map((content) => ({ ...message, content: sampled(content) }))
}

/** Messages of a model hold no resources: what audio became elsewhere is a text here. */
const sampled = (content: unknown): unknown =>
  isObject(content) && content.type === 'resource'
    ? { type: 'text', text: '[audio, which this client cannot take]' }
    : content

/** The answer of a client as its server expects it. */
export const answerBack = ({ back }: Carried, answer: AskAnswer): AskAnswer =>
  back && answer.kind === 'result' ? { kind: 'result', result: back(answer.result) } : answer
