import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { callWhenBack } from '../support/call-when-back.ts'
import { type RunningGateway, servingPid, startGateway } from '../support/gateway.ts'
import { memoryGrowth } from '../support/memory-growth.ts'
import type { Outcome } from '../support/plain-client.ts'
import { ask } from '../support/postern.ts'
import { UNRULY } from '../support/upstreams/stdio-upstreams.ts'
import {
  type Call,
  clientOnWay,
  connectWay,
  type WayName,
  wayServers,
  type WayServers,
} from '../support/ways.ts'
import { type Bystander, watch } from './bystander.ts'

const TOKEN = 'a-token-of-the-tests-of-heavy-servers'
const MEBIBYTE = 1_048_576
const BIG = 100 * MEBIBYTE
/** Generous: 100 MiB take their time on a busy machine. */
const TIMEOUT_MS = 30_000

/**
 * What Postern may grow by while one server misbehaves. Ways that hold a message hold 8 MiB of it, in several shapes and
 * until the collector comes; what is well below 100 MiB shows that nobody holds the whole.
 */
const GROWTH = 80 * MEBIBYTE

const TRANSLATED = [
  'stdio-session',
  'streamable-stateless',
  'stateless-session',
  'sse-session',
  'streamable-rest',
] as const satisfies readonly WayName[]
const DIRECT = ['streamable-direct', 'stateless-direct'] as const satisfies readonly WayName[]
const ALL = [...TRANSLATED, ...DIRECT]

const calmTool = (): Bystander =>
  watch(gateway.url, TOKEN, {
    path: '/mcp/tools/calm__echo',
    json: { text: 'still here' },
    right: /^200 .*still here/,
  })

let servers: WayServers
let gateway: RunningGateway
let calls: ReadonlyMap<WayName, Call>
let bystander: Bystander

beforeAll(async () => {
  servers = await wayServers(ALL, { timeout: TIMEOUT_MS }, { tools: 10_000 })
  gateway = await startGateway({
    configuration: {
      auth: { tokens: { tests: { value: TOKEN, level: 'read-write' } } },
      aggregate: { listTimeout: '20s' },
      mcpServers: { calm: { command: process.execPath, args: [UNRULY] }, ...servers.mcpServers },
    },
    admin: TOKEN,
  })
  const all = ALL.map(async (way) => [way, await connectWay(gateway.url, TOKEN, way)] as const)
  calls = new Map(await Promise.all(all))
  for (const call of calls.values()) expect((await call('echo')).code).toBe('ok')
  bystander = calmTool()
  await bystander.answered(50)
})
afterAll(async () => {
  await gateway?.close()
  await servers?.stop()
})

const settled = (way: WayName): Promise<Call> => callWhenBack(gateway.url, TOKEN, way)
const growthOf = <T>(run: () => Promise<T>) => memoryGrowth(servingPid(gateway.serving), run)
const told = ({ status, code }: Outcome): string => `${status} ${code}`

describe('F10 a result of 100 MiB', () => {
  it.each(TRANSLATED)('is refused before it is whole (%s)', async (way) => {
    const call = await settled(way)
    const { value, growth } = await growthOf(() => call('big', { bytes: BIG }))
    expect(told(value)).toBe('502 upstream_invalid')
    expect(value.text).toMatch(/too large|more than 8388608 bytes/)
    expect(growth).toBeLessThan(GROWTH)
    await settled(way)
  })

  it.each(DIRECT)('passes on an event stream without being held (%s)', async (way) => {
    const call = await settled(way)
    const { value, growth } = await growthOf(() => call('big', { bytes: BIG, stream: true }))
    expect(value.status).toBe(200)
    expect(value.bytes).toBeGreaterThan(BIG)
    expect(growth).toBeLessThan(GROWTH)
  })

  it.each(DIRECT)(
    'as JSON is refused at once when its length is said, and else cut off (%s)',
    async (way) => {
      const call = await settled(way)
      const { value, growth } = await growthOf(async () => [
        await call('big', { bytes: BIG, length: BIG + 1_000 }),
        await call('big', { bytes: BIG }),
      ])
      const [said, unsaid] = value as [Outcome, Outcome]
      expect(told(said)).toBe('502 upstream_invalid')
      // Half of it is on its way already: a connection that breaks is not taken for an end.
      expect(told(unsaid)).toBe('200 TypeError')
      expect(unsaid.bytes).toBeLessThanOrEqual(9 * MEBIBYTE)
      expect(growth).toBeLessThan(GROWTH)
    },
  )
})

describe('F10 JSON that is 100,000 levels deep', () => {
  it.each(ALL)('hurts nobody (%s)', async (way) => {
    const call = await settled(way)
    const outcome = await call('deep', { depth: 100_000 })
    // What is passed on is not looked into: whether it can be read is between the server and its client.
    expect(told(outcome)).toBe(way.endsWith('-direct') ? '200 ok' : '502 upstream_invalid')
    await settled(way)
  })
})

describe('F10 10,000 tools', () => {
  it('are listed, server by server and all together, in bounded memory', async () => {
    const { value, growth } = await growthOf(() => ask(`${gateway.url}/mcp/tools`, TOKEN))
    expect(value.status).toBe(200)
    const { tools } = value.body as { tools: readonly { server: string }[] }
    for (const way of ALL)
      expect(tools.filter(({ server }) => server === way).length, way).toBeGreaterThan(10_000)
    expect(growth).toBeLessThan(300 * MEBIBYTE)
  })
})

describe('F10 a list of tools', () => {
  const overHttp = ALL.filter((way) => way !== 'stdio-session')
  const listAs = async (how: string | null, ways: readonly WayName[] = overHttp) => {
    for (const way of ways) await (await settled(way))('list-from-now-on', { how })
  }
  const unavailable = async (): Promise<readonly unknown[]> => {
    const { value, growth } = await growthOf(() => ask(`${gateway.url}/mcp/tools`, TOKEN))
    expect(value.status).toBe(200)
    expect(growth).toBeLessThan(300 * MEBIBYTE)
    const body = value.body as {
      tools: { server: string }[]
      unavailable: { server: string; code: string }[]
    }
    expect(body.tools.some(({ server }) => server === 'calm')).toBe(true)
    return body.unavailable.map(({ server, code }) => `${server} ${code}`).toSorted()
  }

  it.each([
    ['deep', overHttp],
    ['endless', overHttp],
    ['heavy', ['streamable-rest']],
  ] as const)('that is %s is left out, and the others are listed', async (how, ways) => {
    await listAs(how, ways)
    expect(await unavailable()).toEqual(ways.map((way) => `${way} upstream_invalid`).toSorted())
    await listAs(null, ways)
  })

  it('that is too deep is refused where it has to be read, and is nobody’s end where it is passed on', async () => {
    await listAs('deep')
    for (const way of DIRECT) {
      const client = await clientOnWay(gateway.url, TOKEN, way)
      expect(told(await client.request('tools/list')), way).toBe('502 upstream_invalid')
    }
    await listAs(null)
  })
})

describe('F10 everybody else', () => {
  it('was answered all the time', async () => {
    const { failures, answers, medianMs } = await bystander.stop()
    expect(failures).toEqual([])
    expect(answers).toBeGreaterThan(100)
    const quietly = calmTool()
    await quietly.answered(50)
    expect(medianMs).toBeLessThan(10 * (await quietly.stop()).medianMs + 50)
  })
})
