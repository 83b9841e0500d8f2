import type { Refusal } from '../access/refusal.ts'
import type { Caller } from '../identity/caller.ts'
import type { TraceContext } from '../observe/trace-context.ts'
import type { Tool, ToolResult } from './tool.ts'

/** One call as a wire hands it to the pipeline. */
export interface ToolCall {
  readonly caller: Caller
  readonly tool: string
  readonly args: unknown
  readonly requestId: string
  /** Which wire it came by, for the audit: `mcp`, `rest`. */
  readonly wire: 'mcp' | 'rest' | 'cli'
  readonly signal: AbortSignal
  readonly trace?: TraceContext | undefined
}

/**
 * The pipeline behind every wire: decide, confirm, execute, record. Authentication has happened already;
 * its answer is `call.caller`.
 */
export interface Pipeline {
  call(call: ToolCall): Promise<ToolResult>
  /** The tools this caller may call, in a stable order. */
  list(caller: Caller): readonly Tool[]
  /** Why the caller may or may not call a tool, without calling it. */
  explain(
    caller: Caller,
    tool: string,
    database?: string,
  ): { readonly allowed: boolean; readonly rule: string; readonly refusal?: Refusal }
}
