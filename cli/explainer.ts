import type { Settings } from '../src/config/settings.ts'
import type { Clock } from '../src/lib/clock.ts'
import type { AllTools } from '../src/tools/all-tools.ts'
import type { Upstream } from '../src/upstreams/upstream.ts'

/** Explaining decides and runs nothing: whatever would reach a database, a server or the record is a mistake here. */
const runsNothing = (): never => {
  throw new TypeError('an explanation runs nothing')
}

/**
 * The gateway's own tools and the configured servers behind the gateway's own rules, for `explain` only: nothing is
 * opened, so what servers say of their tools is not known.
 */
export async function openExplainer(settings: Settings, clock: Clock): Promise<Pick<AllTools, 'explain'>> {
  const [
    { databaseReach },
    { builtinTools },
    { runSqlTool },
    { createPipeline },
    { createBackends },
    { createAllTools },
  ] = await Promise.all([
    import('../src/databases/reach.ts'),
    import('../src/tools/builtin.ts'),
    import('../src/tools/run-sql.ts'),
    import('../src/tools/pipeline.ts'),
    import('../src/tools/backend/create.ts'),
    import('../src/tools/all-tools.ts'),
  ])
  const databases = {
    names: settings.databases.map((database) => database.name),
    reach: databaseReach(settings.databases),
    resolve: runsNothing,
    run: runsNothing,
    stream: runsNothing,
    tenantView: runsNothing,
  }
  const tools = builtinTools({
    databases,
    schema: { of: runsNothing },
    parser: { parse: runsNothing },
    model: null,
    limits: settings.limits,
  })
  const record = { audit: { record: runsNothing, room: runsNothing }, clock, observe: runsNothing }
  const own = createPipeline({ tools: [...tools, runSqlTool(databases)], databases, ...record })
  const servers = settings.mcpServers.map((options): Upstream => ({
    name: options.name,
    options,
    status: runsNothing,
    converse: runsNothing,
    direct: runsNothing,
  }))
  const serverInfo = { name: settings.server.name, version: '' }
  const backends = createBackends({
    upstreams: {
      list: () => servers,
      find: (name) => servers.find((server) => server.name === name),
      onChange: () => () => undefined,
      restart: runsNothing,
      reload: runsNothing,
      close: runsNothing,
    },
    lifelines: { hold: runsNothing },
    own,
    requestTimeoutMs: settings.limits.requestTimeoutMs,
    aggregate: settings.aggregate,
    serverInfo,
    ...record,
  })
  return createAllTools({ own, backends, serverInfo, clock })
}
