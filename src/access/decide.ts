import type { Credential } from '../identity/caller.ts'
import { type Allowed, type Grant, LEVELS, type Level } from '../identity/grant.ts'
import { type Refusal, refusal } from './refusal.ts'

/** What a decision must know of a tool; the whole of it, so that deciding needs no other source. */
export interface ToolRule {
  /** Name as the caller writes it. */
  readonly name: string
  /** `postern` for Postern's own tools, otherwise the upstream server that has it. */
  readonly server: string
  readonly level: Level
  /** All of these are needed. */
  readonly scopes: readonly string[]
  /** It works on a database: a credential that may use none cannot call it. */
  readonly needsDatabase?: boolean
}

/** One call, as far as a decision is concerned. */
export interface CallToDecide {
  readonly tool: ToolRule
  /** The database the arguments name; absent when they name none. */
  readonly database?: string
}

export type Decision =
  | { readonly outcome: 'allow'; readonly rule: string }
  | { readonly outcome: 'refuse'; readonly rule: string; readonly refusal: Refusal }

/** The name under which Postern's own tools are listed among the servers. */
export const OWN_SERVER = 'postern'

export const levelIncludes = (held: Level, needed: Level): boolean =>
  LEVELS.indexOf(held) >= LEVELS.indexOf(needed)

const includes = (allowed: Allowed, name: string): boolean => allowed === 'all' || allowed.includes(name)

const refuse = (reason: Refusal): Decision => ({ outcome: 'refuse', rule: reason.rule, refusal: reason })

/**
 * Decides one call. Pure: the same values give the same answer, `now` included. Rules are asked in the
 * order server, level, scope, database, so that somebody who may not see a server learns nothing of its tools.
 *
 * @param now milliseconds since the epoch
 */
export function decide(grant: Grant, credential: Credential, call: CallToDecide, now: number): Decision {
  if (credential.expiresAt !== null && credential.expiresAt <= now) {
    return refuse(refusal('unauthorized', 'credential.expired', 'this credential has expired'))
  }
  const { tool } = call
  if (tool.server !== OWN_SERVER && !includes(grant.servers, tool.server)) {
    return refuse(refusal('server_not_allowed', 'server', 'this credential may not use that server'))
  }
  if (!levelIncludes(grant.level, tool.level)) {
    return refuse(
      refusal('level_too_low', 'level', `level ${tool.level} is needed, this credential has ${grant.level}`, {
        allowed: `tools of level ${grant.level}`,
      }),
    )
  }
  const missing = tool.scopes.filter((scope) => !includes(grant.scopes, scope))
  if (missing.length > 0) {
    return refuse(
      refusal('scope_missing', 'scope', `scope ${missing.join(' ')} is needed and was not granted`, {
        scopes: tool.scopes,
      }),
    )
  }
  if (tool.needsDatabase === true && grant.databases.length === 0) {
    return refuse(refusal('database_not_allowed', 'database', 'this credential may use no database'))
  }
  if (call.database !== undefined && !includes(grant.databases, call.database)) {
    return refuse(
      refusal(
        'database_not_allowed',
        'database',
        `database "${call.database}" is not open to this credential`,
        {
          allowed: `databases ${(grant.databases as readonly string[]).join(', ')}`,
          candidates: grant.databases as readonly string[],
        },
      ),
    )
  }
  return { outcome: 'allow', rule: `level:${tool.level}` }
}
