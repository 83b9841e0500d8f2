import { overdueRefusal } from '../../../access/stop-refusal.ts'
import type { Caller } from '../../../identity/caller.ts'
import type { Clock } from '../../../lib/clock.ts'
import { isObject, type Params } from '../../../lib/json-rpc.ts'
import type { Pipeline } from '../../call.ts'
import type { ToolResult } from '../../tool.ts'
import type { GuardedAnswer, GuardedRequest } from '../backend.ts'
import { unlessAborted } from '../../../lib/unless-aborted.ts'

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

/**
 * Calls one through the pipeline, which decides and records. When its time is over it is answered at once, also when the
 * tool does not listen.
 */
export async function callOwnTool(
  own: Pipeline,
  call: GuardedRequest,
  name: string,
  clock: Clock,
  timeoutMs: number,
): Promise<GuardedAnswer> {
  const { caller, requestId, wire, trace } = call
  const args = call.params['arguments'] ?? {}
  if (!isObject(args)) {
    return { kind: 'error', error: { code: -32_602, message: 'arguments must be an object' } }
  }
  const over = new AbortController()
  const cancel = clock.after(timeoutMs, () => {
    over.abort()
  })
  const signal = AbortSignal.any([call.signal, over.signal])
  try {
    return answerOf(
      await unlessAborted(
        own.call({ caller, tool: name, args, requestId, wire, signal, trace }),
        over.signal,
      ),
    )
  } catch (fault) {
    if (over.signal.aborted) return { kind: 'refused', refusal: overdueRefusal(timeoutMs) }
    throw fault
  } finally {
    cancel()
  }
}

function answerOf(result: ToolResult): GuardedAnswer {
  if (result.outcome === 'refused') return { kind: 'refused', refusal: result.refusal }
  const { content, structured } = result
  return {
    kind: 'result',
    result: { content, ...(structured === undefined ? {} : { structuredContent: structured }) },
  }
}
