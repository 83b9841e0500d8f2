import type { Caller } from '../../../identity/caller.ts'
import { isObject, type Params } from '../../../lib/json-rpc.ts'
import type { Pipeline } from '../../call.ts'
import type { GuardedAnswer, GuardedRequest } from '../backend.ts'

/** Postern's own tools in the form that servers have theirs in, of the newest revision. */
export const ownToolList = (own: Pipeline, caller: Caller): readonly Params[] =>
  own.list(caller).map(({ rule, title, description, inputSchema, outputSchema, annotations }) => ({
    name: rule.name,
    title,
    description,
    inputSchema,
    ...(outputSchema === undefined ? {} : { outputSchema }),
    annotations,
  }))

export const isOwnTool = (own: Pipeline, caller: Caller, name: string): boolean =>
  own.explain(caller, name).refusal?.code !== 'unknown_tool'

/** Calls one through the pipeline, which decides and records. */
export async function callOwnTool(own: Pipeline, call: GuardedRequest, name: string): Promise<GuardedAnswer> {
  const { caller, requestId, wire, signal, trace } = call
  const given = call.params['arguments'] ?? {}
  if (!isObject(given)) {
    return { kind: 'error', error: { code: -32_602, message: 'arguments must be an object' } }
  }
  const result = await own.call({
    caller,
    tool: name,
    args: given,
    requestId,
    wire,
    signal,
    ...(trace === undefined ? {} : { trace }),
  })
  if (result.outcome === 'refused') return { kind: 'refused', refusal: result.refusal }
  const { content, structured } = result
  return {
    kind: 'result',
    result: { content, ...(structured === undefined ? {} : { structuredContent: structured }) },
  }
}
