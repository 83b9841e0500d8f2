/** The id of a JSON-RPC request as MCP has it: never `null` (2025-11-25 basic, "Requests"). */
export type RequestId = string | number

/** An object as it came from JSON: what it holds is for the reader to judge. */
export type Params = Readonly<Record<string, unknown>>

export const isObject = (value: unknown): value is Params =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/** The `error` member of a response. */
export interface RpcFailure {
  readonly code: number
  readonly message: string
  readonly data?: unknown
}
