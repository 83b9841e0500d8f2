import type { Settings } from '../src/config/settings.ts'
import type { Clock } from '../src/lib/clock.ts'
import type { Pipeline } from '../src/tools/call.ts'

/** Explaining decides and runs nothing: whatever would reach a database or the record is a mistake here. */
const runsNothing = (): never => {
  throw new TypeError('an explanation runs nothing')
}

/** The gateway's own tools behind the gateway's own pipeline, for `explain` and `list` only: nothing is opened. */
export async function explainingPipeline(settings: Settings, clock: Clock): Promise<Pipeline> {
  const [{ builtinTools }, { runSqlTool }, { createPipeline }] = await Promise.all([
    import('../src/tools/builtin.ts'),
    import('../src/tools/run-sql.ts'),
    import('../src/tools/pipeline.ts'),
  ])
  const databases = {
    names: settings.databases.map((database) => database.name),
    resolve: runsNothing,
    run: runsNothing,
  }
  const tools = builtinTools({
    databases,
    schema: { of: runsNothing },
    parser: { parse: runsNothing },
    model: null,
    limits: settings.limits,
  })
  return createPipeline({
    tools: [...tools, runSqlTool(databases, settings.limits)],
    audit: { record: runsNothing, room: runsNothing },
    clock,
    observe: runsNothing,
  })
}
