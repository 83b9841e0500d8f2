import type { DatabaseSettings } from './config/settings.ts'
import type { DemoDatabase, DemoOptions } from './databases/embedded/demo.ts'
import type { DatabaseOptions } from './databases/open.ts'
import { Fault } from './lib/fault.ts'

/** What the demo database needs beside its address: the same values as the defaults of `databases[]`. */
const DEMO_LIMITS = {
  maxConnectionsPerCredential: 4,
  maxConnections: 32,
  idleTimeoutMs: 300_000,
  acquireTimeoutMs: 5_000,
  connectTimeoutMs: 10_000,
  statementTimeoutMs: 30_000,
} as const satisfies Partial<DatabaseSettings>

/** Loaded where it is asked for: whoever starts without it is not to wait for what prepares its data. */
export async function startDemo(options: DemoOptions): Promise<DemoDatabase> {
  const { startDemoDatabase } = await import('./databases/embedded/demo.ts')
  return await startDemoDatabase(options)
}

/**
 * The configured databases, then that of the demo.
 *
 * @throws Fault `config_invalid` when two have one name
 */
export function servedDatabases(
  configured: readonly DatabaseSettings[],
  demo: DemoDatabase | null,
): readonly DatabaseOptions[] {
  const ofDemo = demo ? demo.databases.map((address) => ({ ...address, ...DEMO_LIMITS })) : []
  const served = [...configured, ...ofDemo]
  const twin = served.find(({ name }, at) => served.findIndex((other) => other.name === name) !== at)
  if (twin) {
    // Otherwise the later one would answer, and take the writes, that were meant for the other.
    throw new Fault(
      'config_invalid',
      `"${twin.name}" names two databases: rename the configured one, or start without --demo`,
    )
  }
  return served
}
