import { decide } from '../../access/decide.ts'
import type { Refusal } from '../../access/refusal.ts'
import type { Caller } from '../../identity/caller.ts'
import type { Hint } from './catalogue.ts'
import type { ServerRules } from './server-rules.ts'

/** Why somebody may or may not do something, without doing it. */
export interface Explanation {
  readonly allowed: boolean
  readonly rule: string
  readonly refusal?: Refusal
}

/**
 * Explains the use of a server, or of one of its tools, by the name the server knows it by. Whether the server has
 * such a tool is not looked up. Pure.
 *
 * @param now milliseconds since the epoch
 */
export function explainServer(
  { grant, credential }: Caller,
  rules: ServerRules,
  tool: string | undefined,
  hint: Hint | undefined,
  now: number,
): Explanation {
  const rule = tool === undefined ? rules.use : rules.tool(tool, hint)
  const decision = decide(grant, credential, { tool: rule }, now)
  return decision.outcome === 'allow'
    ? { allowed: true, rule: decision.rule }
    : { allowed: false, rule: decision.rule, refusal: decision.refusal }
}
