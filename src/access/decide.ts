import type { Credential } from '../identity/caller.ts'
import { type Allowed, type Grant, LEVELS, type Level } from '../identity/grant.ts'
import { type Refusal, refusal } from './refusal.ts'

/** What a decision must know of a tool; the whole of it, so that deciding needs no other source. */
export interface ToolRule extends ServerRule {
  /** Name as the caller writes it. */
  readonly name: string
  readonly level: Level
  /** All of these are needed, those of the server included. */
  readonly scopes: readonly string[]
  /** It works on a database: a credential that may use none cannot call it. */
  readonly needsDatabase?: boolean
  /** The tool filter of its server leaves it out: nobody may call it, and no list has it. */
  readonly filteredOut?: boolean
}

/** Who may use a server at all. */
export interface ServerRule {
  /** `postern` for Postern's own tools, otherwise the name of the MCP server. */
  readonly server: string
  /**
   * Static tokens that may use the server, by name. Beside them may whoever was granted the server by its name;
   * a grant of all servers does not reach this one. Absent or null: every credential whose grant has the server.
   */
  readonly authTokens?: readonly string[] | null
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

/** One object for each level: a forwarded call is decided for the price of a few comparisons. */
const ALLOWED: Readonly<Record<Level, Decision>> = {
  'read-only': { outcome: 'allow', rule: 'level:read-only' },
  'read-write': { outcome: 'allow', rule: 'level:read-write' },
  admin: { outcome: 'allow', rule: 'level:admin' },
}

const SERVER_ALLOWED: Decision = { outcome: 'allow', rule: 'server' }

/**
 * Decides one call. Pure: the same values give the same answer, `now` included. Rules are asked in the
 * order server, tool filter, level, scope, database, so that somebody who may not see a server learns nothing of
 * its tools.
 *
 * @param now milliseconds since the epoch
 */
export function decide(grant: Grant, credential: Credential, call: CallToDecide, now: number): Decision {
  const { tool } = call
  const server = decideServer(grant, credential, tool, now)
  if (server.outcome === 'refuse') return server
  if (tool.filteredOut === true) {
    return refuse(
      refusal('tool_not_allowed', 'server.toolFilter', 'the filter of this server leaves that tool out', {
        allowed: 'the tools that tools/list or GET /mcp/tools names',
      }),
    )
  }
  if (!levelIncludes(grant.level, tool.level)) {
    return refuse(
      refusal('level_too_low', 'level', `level ${tool.level} is needed, this credential has ${grant.level}`, {
        allowed: `tools of level ${grant.level}`,
      }),
    )
  }
  if (tool.scopes.length > 0 && grant.scopes !== 'all') {
    const missing = tool.scopes.filter((scope) => !includes(grant.scopes, scope))
    if (missing.length > 0) {
      return refuse(
        refusal('scope_missing', 'scope', `scope ${missing.join(' ')} is needed and was not granted`, {
          scopes: tool.scopes,
        }),
      )
    }
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
  return ALLOWED[tool.level]
}

/**
 * Decides whether a credential may use a server at all: the first part of every decision about it.
 *
 * @param now milliseconds since the epoch
 */
export function decideServer(
  grant: Grant,
  credential: Credential,
  { server, authTokens }: ServerRule,
  now: number,
): Decision {
  if (credential.expiresAt !== null && credential.expiresAt <= now) {
    return refuse(refusal('unauthorized', 'credential.expired', 'this credential has expired'))
  }
  if (server === OWN_SERVER) return SERVER_ALLOWED
  if (!includes(grant.servers, server)) {
    return refuse(
      refusal(
        'server_not_allowed',
        'server',
        'this credential may not use that server',
        serversOf(grant.servers),
      ),
    )
  }
  const named = grant.servers !== 'all'
  const listed = credential.kind === 'static' && authTokens?.includes(credential.name) === true
  if (authTokens === undefined || authTokens === null || named || listed) return SERVER_ALLOWED
  return refuse(
    refusal(
      'server_not_allowed',
      'server.authTokens',
      'this credential may not use that server: its authTokens do not name it',
      { allowed: 'a token that authTokens of the server names, or one issued for this server by name' },
    ),
  )
}

/** What a credential that is bound to servers may use instead: names it was given, so none it may not see. */
const serversOf = (servers: Allowed): Pick<Refusal, 'allowed' | 'candidates'> =>
  servers === 'all' || servers.length === 0
    ? {}
    : { allowed: `servers ${servers.join(', ')}`, candidates: servers }
