import { resolve } from 'node:path'
import { Secret } from '../lib/secret.ts'
import { aggregate } from './keys/aggregate.ts'
import { auth } from './keys/auth.ts'
import { databases } from './keys/databases.ts'
import { limits } from './keys/limits.ts'
import { mcpServers } from './keys/mcp-servers.ts'
import { metrics, traces } from './keys/observe.ts'
import { audit, log, model } from './keys/rest.ts'
import { server } from './keys/server.ts'
import { absolutePath, path, secret, withoutPassword } from './leaves.ts'
import { looksLikePostgresUrl, parsePostgresUrl } from './postgres-url.ts'
import type { Settings } from './settings.ts'
import { mapped, optional, section } from './spec.ts'

type Store = Settings['store']

const store = mapped(
  optional(
    secret(
      'Where Postern keeps its own data: a file for SQLite, or a PostgreSQL URL to share it between replicas.',
      {
        example: './.postern/postern.db',
        harmless: withoutPassword,
      },
    ),
    '`postern.db` in `dataDir`',
  ),
  (given, place, context): Store | { readonly kind: 'beside' } | undefined => {
    if (given === null) return { kind: 'beside' }
    const value = given.reveal()
    if (!value.includes('://')) return { kind: 'sqlite', file: absolutePath(value, place, context) }
    const parsed = parsePostgresUrl(value)
    if (parsed.ok) return { kind: 'postgres', url: new Secret(value) }
    const message = looksLikePostgresUrl(value)
      ? parsed.error
      : 'is neither a path nor a URL that starts with postgres://'
    context.report.problem('config_bad_value', place, message)
    return undefined
  },
)

/**
 * Every key of the configuration, once: reading, documentation, JSON Schema, environment names and the
 * starting file are all made from this table.
 */
export const keys = section(
  'The configuration of Postern.',
  {
    server,
    dataDir: path('Directory for everything that Postern writes.', { standard: './.postern' }),
    store,
    auth,
    databases,
    mcpServers,
    aggregate,
    limits,
    audit,
    model,
    log,
    metrics,
    traces,
  },
  { later: ['tools', 'tenants', 'oauth'], passedOver: ['$schema'] },
)

export const defaultStore = (dataDir: string): Store => ({
  kind: 'sqlite',
  file: resolve(dataDir, 'postern.db'),
})
