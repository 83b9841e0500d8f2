/**
 * Everything worth noticing, as one union. Code emits observations; the log and the metrics subscribe. No
 * observation carries a credential value or a bound SQL value. What takes time is traced beside it (`tracing.ts`).
 */
export type Observation =
  | { readonly kind: 'server.listening'; readonly url: string; readonly startupMs: number }
  | { readonly kind: 'server.stopping'; readonly signal: string }
  | { readonly kind: 'server.stopped' }
  | { readonly kind: 'config.loaded'; readonly file: string | null; readonly dialect: string }
  | { readonly kind: 'config.warning'; readonly message: string }
  /** One setting that a changed configuration has otherwise, told before it is taken over. */
  | {
      readonly kind: 'config.changed'
      /** The key as a file has it: `mcpServers.files.timeout`. */
      readonly path: string
      readonly change: 'added' | 'removed' | 'changed'
      /** As text; `null` where there is nothing to show; `(changed)` for a secret. */
      readonly from: string | null
      readonly to: string | null
      /** It is in force only after a restart. */
      readonly restart: boolean
    }
  | {
      readonly kind: 'request'
      readonly requestId: string
      readonly method: string
      /** The route's pattern, never the URL itself. */
      readonly route: string
      readonly status: number
      readonly durationMs: number
      readonly tokenName?: string
      readonly credentialId?: string
      readonly server?: string
      readonly code?: string
      /** The trace it belongs to, where it belongs to one. */
      readonly traceId?: string
    }
  | {
      readonly kind: 'authentication.refused'
      readonly requestId: string
      readonly reason: string
      readonly remoteAddress: string
      readonly credentialId?: string
      /** How many refusals this one stands for, where a flood of them was counted instead of listed. */
      readonly count?: number
    }
  | { readonly kind: 'tokens.loaded'; readonly source: string; readonly count: number }
  | { readonly kind: 'tokens.expired_removed'; readonly source: string; readonly count: number }
  | {
      readonly kind: 'tokens.reloaded'
      readonly source: string
      /** Tokens in force, where all of them were read. */
      readonly count?: number
      /** Tokens that were added, changed or removed, where only those were read. */
      readonly changed?: number
    }
  | { readonly kind: 'tokens.reload_failed'; readonly source: string; readonly message: string }
  | { readonly kind: 'tokens.file_mode'; readonly source: string; readonly mode: string }
  /** Other keys of JWTs are in force: their `kid`s, never anything of them. */
  | {
      readonly kind: 'keys.taken_over'
      readonly source: string
      readonly signing: string
      readonly algorithm: string
      /** They verify still. */
      readonly retired: readonly string[]
      /** What they verified has ended. */
      readonly gone: readonly string[]
    }
  | { readonly kind: 'keys.reload_failed'; readonly source: string; readonly message: string }
  | { readonly kind: 'credential.ended'; readonly credentialId: string; readonly reason: string }
  | { readonly kind: 'store.feed_lost'; readonly message: string }
  | { readonly kind: 'store.feed_restored' }
  | {
      readonly kind: 'database.up'
      readonly database: string
      readonly version: string
      readonly role: string
    }
  | {
      readonly kind: 'database.embedded'
      readonly port: number
      /** The sample data was made by this start. */
      readonly created: boolean
      readonly startupMs: number
    }
  /** A provider that people sign in with gave nothing that can be used; `message` is for the operator. */
  | { readonly kind: 'provider.failed'; readonly provider: string; readonly message: string }
  | { readonly kind: 'database.down'; readonly database: string; readonly message: string }
  /** One tenant cannot log in to a protected database; to all others it is as it was. */
  | {
      readonly kind: 'database.tenant_not_ready'
      readonly database: string
      readonly tenant: string
      readonly message: string
    }
  | {
      readonly kind: 'database.role'
      readonly database: string
      readonly role: string
      readonly powers: readonly string[]
    }
  | { readonly kind: 'database.connection_destroyed'; readonly database: string; readonly reason: string }
  /** An MCP server answers: for the first time, or again after it failed. */
  | {
      readonly kind: 'upstream.up'
      readonly server: string
      readonly transport: string
      readonly revision: string | null
    }
  | {
      readonly kind: 'upstream.failing'
      readonly server: string
      readonly problem: string
      /** Until the next attempt is made, if somebody needs the server. */
      readonly retryInMs: number
    }
  /** The process of an MCP server was started again after it had ended by itself. */
  | { readonly kind: 'upstream.restarted'; readonly server: string; readonly restarts: number }
  /** A line that an MCP server wrote to its standard error. */
  | {
      readonly kind: 'upstream.stderr'
      readonly server: string
      readonly line: string
      /** Lines left out before this one, because there were too many. */
      readonly dropped?: number
    }
  /** Lists of all servers are made without this one, for a reason that they had not before. */
  | {
      readonly kind: 'aggregate.left_out'
      readonly server: string
      readonly code: string
      readonly message: string
    }
  /** Something that an MCP server sent and that is no message; `line` is the beginning of it. */
  | { readonly kind: 'upstream.garbage'; readonly server: string; readonly line: string }
  | {
      readonly kind: 'tool'
      /** A name that some tool has; text of the caller is `(unknown)`. */
      readonly tool: string
      /** The MCP server that has the tool; absent for Postern's own. */
      readonly server?: string
      readonly outcome: string
      readonly durationMs: number
      readonly database?: string
    }
  | { readonly kind: 'audit.flush_failed'; readonly message: string; readonly waiting: number }
  /** The log's output takes lines again, after it took none for so long that some were lost. */
  | { readonly kind: 'log.lines_lost'; readonly count: number; readonly problem: string }
  /** Said once a minute while it lasts: how many spans were lost since. */
  | { readonly kind: 'traces.export_failed'; readonly message: string; readonly dropped: number }
  | { readonly kind: 'fault'; readonly where: string; readonly error: unknown; readonly requestId?: string }

export type Observe = (observation: Observation) => void

/** Hands every observation to each subscriber. */
export function observer(...subscribers: readonly Observe[]): Observe {
  return (observation) => {
    for (const subscriber of subscribers) subscriber(observation)
  }
}
