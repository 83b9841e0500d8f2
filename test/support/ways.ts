import { type Outcome, plainEvents, plainSession, plainStateless, restCall } from './plain-client.ts'
import { UNRULY } from './upstreams/stdio-upstreams.ts'
import { type UnrulyHttp, unrulyHttp, type UnrulyKind } from './unruly-http.ts'

/** How a client and a server that behaves badly come together. */
export interface Way {
  readonly server: 'stdio' | UnrulyKind
  readonly client: 'session' | 'stateless' | 'events' | 'rest'
  /** Messages pass as they are. */
  readonly direct: boolean
}

/** Every transport to a server, translated and, where there is that, passed on. */
export const WAYS = {
  'stdio-session': { server: 'stdio', client: 'session', direct: false },
  'stdio-stateless': { server: 'stdio', client: 'stateless', direct: false },
  'streamable-direct': { server: 'streamable', client: 'session', direct: true },
  'streamable-stateless': { server: 'streamable', client: 'stateless', direct: false },
  'stateless-direct': { server: 'stateless', client: 'stateless', direct: true },
  'stateless-session': { server: 'stateless', client: 'session', direct: false },
  'sse-session': { server: 'sse', client: 'session', direct: false },
  'streamable-events': { server: 'streamable', client: 'events', direct: false },
  'streamable-rest': { server: 'streamable', client: 'rest', direct: false },
} as const satisfies Readonly<Record<string, Way>>

export type WayName = keyof typeof WAYS
export const WAY_NAMES = Object.keys(WAYS) as readonly WayName[]

/** A server of its own for each way, so that what one suffers is not another's. */
export interface WayServers {
  /** For `mcpServers`, by the name of the way. */
  readonly mcpServers: Readonly<Record<string, object>>
  /** Of servers over HTTP. */
  http(way: WayName): UnrulyHttp | undefined
  stop(): Promise<void>
}

export async function wayServers(
  names: readonly WayName[],
  limits: Readonly<Record<string, unknown>>,
  options: { readonly tools?: number } = {},
): Promise<WayServers> {
  const servers = new Map<WayName, UnrulyHttp>()
  await Promise.all(
    names.map(async (name) => {
      const { server } = WAYS[name]
      if (server !== 'stdio') servers.set(name, await unrulyHttp(server, options))
    }),
  )
  const reach = (name: WayName): object => {
    const running = servers.get(name)
    if (running) return { url: running.url, ...limits }
    const tools = options.tools === undefined ? [] : ['--tools', String(options.tools)]
    return { command: process.execPath, args: [UNRULY, ...tools], ...limits }
  }
  return {
    mcpServers: Object.fromEntries(names.map((name) => [name, reach(name)])),
    http: (name) => servers.get(name),
    async stop() {
      await Promise.all([...servers.values()].map((one) => one.stop()))
    },
  }
}

export type Call = (
  tool: string,
  args?: Readonly<Record<string, unknown>>,
  signal?: AbortSignal,
) => Promise<Outcome>

/** A client on a way, ready to call. */
export async function connectWay(
  url: string,
  token: string,
  name: WayName,
  capabilities: Readonly<Record<string, unknown>> = {},
): Promise<Call> {
  const { client, direct } = WAYS[name]
  if (client === 'rest') return (tool, args) => restCall(url, token, `${name}__${tool}`, { ...args })
  const at = `${url}/${name}/mcp`
  const plain =
    client === 'stateless'
      ? plainStateless(at, token, capabilities)
      : client === 'events'
        ? await plainEvents(`${url}/${name}/sse`, token, capabilities)
        : await plainSession(at, token, capabilities)
  // The first one is translated, while nobody knows what the server speaks.
  if (direct && client === 'session' && !plain.session.startsWith('v1.')) {
    const second = await plainSession(at, token, capabilities)
    if (!second.session.startsWith('v1.')) throw new Error(`${name} is not passed on`)
    return (tool, args, signal) => second.call(tool, { ...args }, signal ? { signal } : {})
  }
  if (direct && client === 'stateless') await plain.call('echo')
  return (tool, args, signal) => plain.call(tool, { ...args }, signal ? { signal } : {})
}
