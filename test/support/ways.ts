import {
  type Outcome,
  type PlainClient,
  plainEvents,
  plainSession,
  plainStateless,
  restCall,
} from './plain-client.ts'
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
  if (WAYS[name].client === 'rest')
    return (tool, args) => restCall(url, token, `${name}__${tool}`, { ...args })
  const client = await clientOnWay(url, token, name, capabilities)
  return (tool, args, signal) => client.call(tool, { ...args }, signal ? { signal } : {})
}

/** The client of a way that has one. */
export async function clientOnWay(
  url: string,
  token: string,
  name: WayName,
  capabilities: Readonly<Record<string, unknown>> = {},
): Promise<PlainClient> {
  const { client, direct } = WAYS[name]
  const at = `${url}/${name}/mcp`
  if (client === 'events') return await plainEvents(`${url}/${name}/sse`, token, capabilities)
  const plain =
    client === 'stateless'
      ? plainStateless(at, token, capabilities)
      : await plainSession(at, token, capabilities)
  if (!direct) return plain
  // The first request is translated, while nobody knows what the server speaks.
  if (client === 'stateless') await plain.call('echo')
  else if (!isSealed(plain.session)) {
    const second = await plainSession(at, token, capabilities)
    if (!isSealed(second.session)) throw new Error(`${name} is not passed on`)
    return second
  }
  return plain
}

/** The id of a session that is passed on holds the server's own; others are 192 random bits. */
const isSealed = (id: string): boolean => id.length > 48
