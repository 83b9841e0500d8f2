import type { TraceContext } from '../../observe/trace-context.ts'
import { isObject, type Params, type RequestId } from '../message.ts'

/**
 * A message as it goes on, made of the members that were judged: one that is none of them might mean something to
 * another reader. `_meta` names the trace that was read from the request, never the text that it came in; and no
 * `baggage`, which holds whatever somebody put into it.
 *
 * @param trace what is handed on with the exchange: checked, and from the headers where `_meta` had nothing valid
 */
export function messageText(
  id: RequestId | undefined,
  method: string,
  params: Params,
  trace: TraceContext | undefined,
): string {
  const head = id === undefined ? '' : `"id":${JSON.stringify(id)},`
  const text = JSON.stringify(withTrace(params, trace))
  return `{"jsonrpc":"2.0",${head}"method":${JSON.stringify(method)},"params":${text}}`
}

/** In any case, of Unicode (`ſ` is an `s`): some servers read JSON without regard to it. */
const TRACE_KEY = /^(?:traceparent|tracestate|baggage)$/iu

function withTrace(params: Params, trace: TraceContext | undefined): Params {
  const { _meta } = params
  // Nothing is made for most messages, which name no trace.
  if (!isObject(_meta) || !Object.keys(_meta).some(isTraceKey)) return params
  const others = Object.entries(_meta).filter(([key]) => !isTraceKey(key))
  return { ...params, _meta: { ...Object.fromEntries(others), ...trace } }
}

const isTraceKey = (key: string): boolean => TRACE_KEY.test(key)
