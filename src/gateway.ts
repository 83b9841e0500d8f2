import { join } from 'node:path'
import { openAudit } from './audit/open.ts'
import { difference } from './config/difference.ts'
import type { Settings } from './config/settings.ts'
import { isTakenOver } from './config/take-over.ts'
import { makeGate } from './databases/gate/judge.ts'
import { openParser } from './databases/gate/parse.ts'
import { openDatabases } from './databases/open.ts'
import { openSchemaCatalogues } from './databases/schema/catalogue.ts'
import { tenantKey } from './databases/tenancy/tenant-key.ts'
import { traced as tracedDatabases } from './databases/traced.ts'
import { createControlPlane } from './http/control-plane.ts'
import { resourceMetadataUrl } from './http/resource-metadata.ts'
import { createHttpServer } from './http/server.ts'
import { FIRST_TENANT } from './identity/first-tenant.ts'
import { signInKey } from './identity/oidc/sign-in-key.ts'
import { openIdentity } from './identity/open.ts'
import type { PeopleOptions } from './identity/open-people.ts'
import type { Clock } from './lib/clock.ts'
import { Closers } from './lib/closers.ts'
import { sealer } from './lib/seal.ts'
import type { Secret } from './lib/secret.ts'
import { createDirect } from './mcp/direct/direct.ts'
import { createMcpEndpoint } from './mcp/endpoint.ts'
import { openMetrics } from './observe/metrics/open.ts'
import { type Observe, observer } from './observe/observation.ts'
import { openTraces } from './observe/traces/open.ts'
import { peopleOptions } from './people-options.ts'
import { servedDatabases, startDemo } from './served-databases.ts'
import { openStore } from './store/open.ts'
import { storeProbe } from './store/probe.ts'
import { createAllTools } from './tools/all-tools.ts'
import { createBackends } from './tools/backend/create.ts'
import { builtinTools } from './tools/builtin.ts'
import { openModel } from './tools/model/open.ts'
import { createPipeline } from './tools/pipeline.ts'
import { endOnChange } from './upstreams/credentials/end-on-change.ts'
import { openKey } from './upstreams/credentials/open-key.ts'
import { StoredCredentials } from './upstreams/credentials/stored.ts'
import { openUpstreams } from './upstreams/open.ts'
import { traced as tracedUpstreams } from './upstreams/traced.ts'
import { version } from './version.ts'

export interface GatewayOptions {
  readonly settings: Settings
  /** Adds the embedded database with sample data, after the configured ones. */
  readonly demo: boolean
  /** Postern's own environment, of which processes of MCP servers get a short list of harmless names. */
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly observe: Observe
}

/** A running gateway. */
export interface Gateway {
  /** Where it answers, without a trailing slash. */
  readonly url: string
  /** The one admin token of a first start; `null` on every other. */
  readonly bootstrapToken: Secret | null
  /** Takes over what can change while running (tokens of the configuration); the rest needs a restart. */
  reload(settings: Settings): void
  /** Finishes open requests, writes the record, closes everything. */
  close(): Promise<void>
}

/**
 * Opens the rooms in the order of the arrows, each with plain values and the rooms below it, and closes
 * them in the opposite order; also when one of them cannot be opened.
 *
 * @throws Fault with a code and a message for the operator
 */
export async function startGateway(options: GatewayOptions): Promise<Gateway> {
  const { settings, clock } = options
  const metrics = settings.metrics.enabled ? openMetrics({ version: version() }) : null
  const observe = metrics ? observer(options.observe, metrics.observe) : options.observe
  const startedAt = performance.now()
  const closers = new Closers()
  closers.push(() => metrics?.close())

  try {
    const tracing = await openTraces(
      settings.traces && { ...settings.traces, version: version() },
      clock,
      observe,
    )
    closers.push(() => tracing.close())

    const store = await openStore(settings.store, { clock, observe })
    closers.push(() => store.close())

    const threadFile = settings.store.kind === 'sqlite' ? { threadFile: settings.store.file } : {}
    const audit = openAudit(store.db, clock, observe, { ...settings.audit, ...threadFile })
    closers.push(() => audit.close())

    const keyFile = join(settings.dataDir, 'secret.key')
    const secretKey = onceMade(() => openKey(keyFile, store, observe))
    const identity = await openIdentity({
      store,
      staticTokens: settings.auth.tokens,
      tokenFile: settings.auth.tokenFile,
      enabled: settings.auth.enabled,
      clock,
      observe,
      tenantDefault: FIRST_TENANT,
      people: { ...peopleOptions(settings), ...(await signInOptions(settings, secretKey)) },
    })
    closers.push(() => identity.close())

    const demo = options.demo ? await startDemo({ dataDir: settings.dataDir, observe }) : null
    if (demo) closers.push(() => demo.close())

    const { limits } = settings
    const served = servedDatabases(settings.databases, demo)
    const isProtected = served.some(({ tenancy }) => tenancy !== null && tenancy !== undefined)
    const parser = await openParser()
    const opened = await openDatabases(served, {
      gate: makeGate(parser),
      lifelines: identity.lifelines,
      clock,
      observe,
      limits,
      ...(isProtected ? { tenantKey: tenantKey(await secretKey()) } : {}),
    })
    const databases = tracedDatabases(opened, tracing)
    closers.push(() => databases.close())

    // Each of them asks a database: without one they would be offered, and could answer nothing.
    const tools =
      served.length === 0
        ? []
        : builtinTools({
            databases,
            schema: openSchemaCatalogues({ databases, clock }),
            parser,
            model: settings.model ? openModel(settings.model, clock) : null,
            limits,
          })
    const pipeline = createPipeline({ tools, databases, audit, clock, observe })
    const serverInfo = { name: settings.server.name, version: version() }

    const credentials = new StoredCredentials({
      store,
      key: async () => sealer(await secretKey()),
      clock,
      observe,
    })
    await credentials.start()
    closers.push(() => credentials.close())
    // What is wrong with the key is better heard of now than by the first who needs it.
    if (settings.mcpServers.some(({ userCredential }) => userCredential !== null)) await credentials.ready()

    const servers = openUpstreams(settings.mcpServers, {
      lifelines: identity.lifelines,
      clock,
      observe,
      environment: options.environment,
      clientInfo: serverInfo,
      credentials,
    })
    closers.push(() => servers.close())
    const upstreams = tracedUpstreams(endOnChange(servers, credentials), tracing)
    const backends = createBackends({
      upstreams,
      lifelines: identity.lifelines,
      own: pipeline,
      requestTimeoutMs: limits.requestTimeoutMs,
      aggregate: settings.aggregate,
      serverInfo,
      audit,
      clock,
      observe,
    })

    let draining = false
    const health = {
      store: storeProbe(store, clock),
      feedHealthy: () => store.feed.healthy(),
      audit: () => audit.state(),
      draining: () => draining,
      startedAt: clock.now(),
    }
    let url = settings.server.baseUrl ?? ''
    const mcp = createMcpEndpoint({
      pipeline,
      lifelines: identity.lifelines,
      clock,
      observe,
      limits,
      serverInfo,
      backends,
      direct: createDirect,
      resourceMetadata: (path) => resourceMetadataUrl(url, path),
    })
    const allTools = createAllTools({ own: pipeline, backends, serverInfo, clock })
    closers.push(() => allTools.close())
    const control = createControlPlane({
      pipeline,
      tools: allTools,
      upstreams,
      backends,
      credentials,
      tokens: identity.tokens,
      people: identity.people,
      databases,
      identityReady: () => identity.ready(),
      audit,
      health,
      observe,
      metrics,
      clock,
      limits,
      serverInfo,
    })
    metrics?.watch({
      databases: () => databases.status(),
      upstreams: () => upstreams.list().map((upstream) => upstream.status()),
      mcp: () => mcp.counts(),
      audit: () => audit.counts(),
    })
    const server = createHttpServer({
      ...settings.server,
      limits,
      authenticator: identity.authenticator,
      lifelines: identity.lifelines,
      audit,
      observe,
      clock,
      tracing,
      mcp,
      control,
    })

    closers.push(async () => {
      draining = true
      await server.close(limits.drainMs)
    })
    const listening = await server.listen()
    if (url === '') ({ url } = listening)
    // Last, because it is made once ever: a start that fails must not use it up unseen.
    const bootstrap = settings.auth.enabled ? await identity.bootstrapAdmin() : null
    audit.record({
      kind: 'system',
      outcome: 'done',
      at: clock.now(),
      action: 'server.start',
      target: listening.url,
    })
    observe({ kind: 'server.listening', url: listening.url, startupMs: performance.now() - startedAt })

    return {
      url: listening.url,
      bootstrapToken: bootstrap?.token ?? null,
      reload(changed) {
        identity.reload(changed.auth.tokens)
        upstreams.reload(changed.mcpServers)
        audit.record({ kind: 'system', outcome: 'done', at: clock.now(), action: 'config.reload' })
        const waiting = difference(settings, changed).filter(({ path }) => !isTakenOver(path))
        if (waiting.length === 0) return
        const paths = waiting.map(({ path }) => path).join(', ')
        // Silence would be taken for consent: somebody may just have switched authentication on.
        observe({ kind: 'config.warning', message: `in force only after a restart: ${paths}` })
      },
      async close() {
        audit.record({ kind: 'system', outcome: 'done', at: clock.now(), action: 'server.stop' })
        await closers.closeAll()
      },
    }
  } catch (fault) {
    await closers.closeAll().catch(() => undefined)
    throw fault
  }
}

/** Providers that people sign in with, and the key for what their browsers keep; nothing where there is none. */
async function signInOptions(
  { auth }: Settings,
  secretKey: () => Promise<Buffer>,
): Promise<Pick<PeopleOptions, 'oidc'>> {
  if (auth.oidc.length === 0) return {}
  return { oidc: { providers: auth.oidc, key: signInKey(await secretKey()) } }
}

/** Makes it when it is first asked for. What could not be made is tried again: the operator may have mended the cause. */
function onceMade<T>(make: () => Promise<T>): () => Promise<T> {
  let made: Promise<T> | undefined
  return () =>
    (made ??= make().catch((fault: unknown) => {
      made = undefined
      throw fault
    }))
}
