import { inspect } from 'node:util'
import { unreachable } from '../lib/unreachable.ts'
import type { Observation } from './observation.ts'

export type Severity = 'debug' | 'info' | 'warn' | 'error'

/** An observation in the words of a log line: a fixed sentence, and the facts beside it. */
export interface Description {
  readonly severity: Severity
  readonly msg: string
  readonly fields: Readonly<Record<string, unknown>>
}

/** What a person or a log collector reads. One case for each observation, checked by the compiler. */
export function describe(observation: Observation): Description {
  switch (observation.kind) {
    case 'server.listening':
      return line('info', 'Listening', {
        url: observation.url,
        startup_ms: Math.round(observation.startupMs),
      })
    case 'server.stopping':
      return line('info', 'Stopping: finishing open requests', { signal: observation.signal })
    case 'server.stopped':
      return line('info', 'Stopped')
    case 'config.loaded':
      return line('info', 'Configuration loaded', { file: observation.file, dialect: observation.dialect })
    case 'config.warning':
      return line('warn', observation.message)
    case 'config.changed':
      return line('info', `Configuration ${observation.change}: ${observation.path}`, {
        path: observation.path,
        from: observation.from ?? undefined,
        to: observation.to ?? undefined,
        needs_restart: observation.restart || undefined,
      })
    case 'request':
      return line('info', observation.credentialId === undefined ? 'Request' : 'Authenticated request', {
        token_name: observation.tokenName,
        credential_id: observation.credentialId,
        server: observation.server,
        method: observation.method,
        route: observation.route,
        status: observation.status,
        duration_ms: Math.round(observation.durationMs * 1000) / 1000,
        request_id: observation.requestId,
        code: observation.code,
        trace_id: observation.traceId,
      })
    case 'authentication.refused':
      return line('warn', 'Authentication refused', {
        reason: observation.reason,
        remote_address: observation.remoteAddress,
        count: observation.count,
        credential_id: observation.credentialId,
        request_id: observation.requestId,
      })
    case 'tokens.loaded':
      return line('info', `Loaded ${observation.count} API token(s) from ${observation.source}`)
    case 'tokens.expired_removed':
      return line('info', `Removed ${observation.count} expired token(s) from ${observation.source}`)
    case 'tokens.reloaded':
      return line('info', `[AUTH] Reloaded ${observation.source}`, {
        count: observation.count,
        changed: observation.changed,
      })
    case 'tokens.reload_failed':
      return line('error', `Could not read ${observation.source}: the tokens read before stay in force`, {
        problem: observation.message,
      })
    case 'tokens.file_mode':
      return line(
        'warn',
        `${observation.source} can be read by others (mode ${observation.mode}): set it to 0600`,
      )
    case 'keys.taken_over':
      return line('info', `Took over the JWT keys of ${observation.source}`, {
        kid: observation.signing,
        algorithm: observation.algorithm,
        retired: observation.retired,
        gone: observation.gone,
      })
    case 'keys.reload_failed':
      return line('error', `Could not take over ${observation.source}: the JWT keys before stay in force`, {
        problem: observation.message,
      })
    case 'credential.ended':
      return line('info', 'Credential ended', {
        credential_id: observation.credentialId,
        reason: observation.reason,
      })
    case 'store.feed_lost':
      return line('warn', 'Lost the change feed of the store: cached credentials now expire within seconds', {
        problem: observation.message,
      })
    case 'store.feed_restored':
      return line('info', 'The change feed of the store is back')
    case 'database.up':
      return line('info', 'Database is up', {
        database: observation.database,
        version: observation.version,
        role: observation.role,
      })
    case 'database.embedded':
      return line(
        'info',
        observation.created
          ? 'The embedded PostgreSQL is up, with new sample data'
          : 'The embedded PostgreSQL is up',
        { port: observation.port, startup_ms: Math.round(observation.startupMs) },
      )
    case 'provider.failed':
      return line('warn', 'A provider of sign-ins cannot be used', {
        provider: observation.provider,
        detail: observation.message,
      })
    case 'database.down':
      return line('warn', 'Database is down', {
        database: observation.database,
        problem: observation.message,
      })
    case 'database.tenant_not_ready':
      return line('warn', 'A tenant cannot use a protected database', {
        database: observation.database,
        tenant: observation.tenant,
        problem: observation.message,
      })
    case 'database.role':
      return line(
        observation.powers.length > 0 ? 'warn' : 'info',
        'What the database role could do beyond reading',
        {
          database: observation.database,
          role: observation.role,
          powers: observation.powers,
        },
      )
    case 'database.connection_destroyed':
      return line('warn', 'Destroyed a database connection', {
        database: observation.database,
        reason: observation.reason,
      })
    case 'upstream.up':
      return line('info', 'MCP server is up', {
        server: observation.server,
        transport: observation.transport,
        revision: observation.revision,
      })
    case 'upstream.failing':
      return line('warn', 'MCP server is failing', {
        server: observation.server,
        problem: observation.problem,
        retry_in_ms: Math.round(observation.retryInMs),
      })
    case 'upstream.restarted':
      return line('warn', 'Started an MCP server again', {
        server: observation.server,
        restarts: observation.restarts,
      })
    case 'upstream.stderr':
      return line('info', 'An MCP server wrote to its standard error', {
        server: observation.server,
        line: observation.line,
        dropped: observation.dropped,
      })
    case 'aggregate.left_out':
      return line('warn', 'Left an MCP server out of the lists of all servers', {
        server: observation.server,
        code: observation.code,
        problem: observation.message,
      })
    case 'upstream.garbage':
      return line('warn', 'An MCP server sent something that is no message', {
        server: observation.server,
        line: observation.line,
      })
    case 'tool':
      return line('debug', 'Tool called', {
        tool: observation.tool,
        server: observation.server,
        outcome: observation.outcome,
        database: observation.database,
        duration_ms: Math.round(observation.durationMs * 1000) / 1000,
      })
    case 'audit.flush_failed':
      return line('error', 'Could not write the audit record: keeping the entries and trying again', {
        problem: observation.message,
        waiting: observation.waiting,
      })
    case 'log.lines_lost':
      return line('warn', 'Lines of this log were lost: its output took none', {
        count: observation.count,
        problem: observation.problem,
      })
    case 'traces.export_failed':
      return line('warn', 'The trace collector takes no spans: they are dropped', {
        problem: observation.message,
        dropped: observation.dropped,
      })
    case 'fault':
      return line('error', 'Something failed that should not', {
        where: observation.where,
        request_id: observation.requestId,
        error: causes(observation.error),
      })
    default:
      return unreachable(observation)
  }
}

function line(severity: Severity, msg: string, fields: Readonly<Record<string, unknown>> = {}): Description {
  return { severity, msg, fields }
}

/** The chain of causes, outermost first. The stack of the first one only: it is the log's, never the caller's. */
function causes(error: unknown): readonly string[] {
  const lines: string[] = []
  for (let current = error; current !== undefined && lines.length < 6;) {
    if (!(current instanceof Error)) {
      lines.push(typeof current === 'string' ? current : inspect(current, { depth: 1 }))
      break
    }
    lines.push(
      lines.length === 0 ? (current.stack ?? current.message) : `${current.name}: ${current.message}`,
    )
    current = current.cause
  }
  return lines
}
