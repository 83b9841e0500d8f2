import type { ToolRule } from '../access/decide.ts'
import type { Refusal } from '../access/refusal.ts'
import type { Caller } from '../identity/caller.ts'
import type { Level } from '../identity/grant.ts'
import type { Result } from '../lib/result.ts'
import type { TraceContext } from '../observe/trace-context.ts'

/** A JSON Schema (2020-12) as it goes over the wire. */
export type JsonSchema = Readonly<Record<string, unknown>>

/** MCP `ToolAnnotations`: hints for people, never the basis of a decision. */
export interface ToolAnnotations {
  readonly title?: string
  readonly readOnlyHint?: boolean
  readonly destructiveHint?: boolean
  readonly idempotentHint?: boolean
  readonly openWorldHint?: boolean
}

/** Anything callable. A new kind of tool is one file in this room that makes values of this type. */
export interface Tool {
  readonly rule: ToolRule
  readonly title: string
  readonly description: string
  readonly inputSchema: JsonSchema
  readonly outputSchema?: JsonSchema
  readonly annotations: ToolAnnotations
  /** Hints for a caller of that level, where they are others: what reads for most may write for an admin. */
  annotationsFor?(level: Level): ToolAnnotations
  /**
   * Validates the arguments as they came from the wire. What it returns, not what came in, is what runs.
   * The error is a sentence that names the argument.
   */
  parse(args: unknown): Result<ParsedCall, string>
}

/** A call whose arguments are known to be good. */
export interface ParsedCall {
  /** The database the arguments name, for the decision. */
  readonly database?: string
  /** What the call is aimed at, for the audit: never a value. */
  readonly target?: string
  run(context: CallContext): Promise<ToolResult>
}

export interface CallContext {
  readonly caller: Caller
  readonly requestId: string
  /** Aborted when the client went away or the credential ended. */
  readonly signal: AbortSignal
  readonly trace?: TraceContext | undefined
}

export type Content = { readonly type: 'text'; readonly text: string }

export type ToolResult =
  | {
      readonly outcome: 'done'
      readonly content: readonly Content[]
      /** Matches `outputSchema`. */
      readonly structured?: Readonly<Record<string, unknown>>
      readonly rowCount?: number
      /** The database that answered, where the arguments did not name it. */
      readonly target?: string
    }
  | { readonly outcome: 'refused'; readonly refusal: Refusal; readonly target?: string }
