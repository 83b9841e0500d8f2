import { afterAll, beforeAll, expect, it } from 'vitest'
import { callWhenBack } from '../support/call-when-back.ts'
import { type RunningGateway, servingPid, startGateway } from '../support/gateway.ts'
import { memoryGrowth } from '../support/memory-growth.ts'
import type { Outcome } from '../support/plain-client.ts'
import { UNRULY } from '../support/upstreams/stdio-upstreams.ts'
import { type Call, connectWay, type WayName, wayServers, type WayServers } from '../support/ways.ts'
import { type Bystander, watch } from './bystander.ts'

const TOKEN = 'a-token-of-the-tests-of-flooding-servers'
const MEBIBYTE = 1_048_576
const TIMEOUT_MS = 3_000

/** What Postern may grow by while all of them flood at once: some of it is garbage that nobody has collected yet. */
const GROWTH = 150 * MEBIBYTE

const ALL = [
  'stdio-session',
  'streamable-stateless',
  'stateless-session',
  'sse-session',
  'streamable-rest',
  'streamable-direct',
  'stateless-direct',
] as const satisfies readonly WayName[]

let servers: WayServers
let gateway: RunningGateway
let calls: ReadonlyMap<WayName, Call>
let bystander: Bystander

beforeAll(async () => {
  servers = await wayServers(ALL, { timeout: TIMEOUT_MS })
  gateway = await startGateway({
    configuration: {
      auth: { tokens: { tests: { value: TOKEN, level: 'read-write' } } },
      mcpServers: { calm: { command: process.execPath, args: [UNRULY] }, ...servers.mcpServers },
    },
    admin: TOKEN,
  })
  const all = ALL.map(async (way) => [way, await connectWay(gateway.url, TOKEN, way)] as const)
  calls = new Map(await Promise.all(all))
  for (const call of calls.values()) expect((await call('echo')).code).toBe('ok')
  bystander = watch(gateway.url, TOKEN, {
    path: '/mcp/tools/calm__echo',
    json: { text: 'still here' },
    right: /^200 .*still here/,
  })
  await bystander.answered(50)
})
afterAll(async () => {
  await gateway?.close()
  await servers?.stop()
})

const settled = (way: WayName): Promise<Call> => callWhenBack(gateway.url, TOKEN, way)
const growthOf = <T>(run: () => Promise<T>) => memoryGrowth(servingPid(gateway.serving), run)
const told = ({ status, code }: Outcome): string => `${status} ${code}`

/** The same on all ways at once. */
async function everywhere(tool: string, args: object): Promise<readonly (readonly [WayName, Outcome])[]> {
  const all = ALL.map(async (way) => {
    const call = await settled(way)
    return [way, await call(tool, { ...args })] as const
  })
  return await Promise.all(all)
}

it('F10 100,000 notifications at once, on every way together: bounded memory, an answer or a time-out', async () => {
  const args = { count: 100_000, method: 'notifications/message' }
  const { value, growth } = await growthOf(() => everywhere('flood', args))
  for (const [way, outcome] of value) {
    expect(told(outcome), way).toMatch(/^(?:200 ok|200 upstream_timeout|504 upstream_timeout)$/)
    expect(outcome.ms, way).toBeLessThan(TIMEOUT_MS + 6_000)
  }
  expect(growth).toBeLessThan(GROWTH)
  for (const way of ALL) await settled(way)
})

it('F10 three questions each millisecond, on every way together: answered or refused within bounds', async () => {
  const { value, growth } = await growthOf(() => everywhere('ask-often', { ms: 1_000 }))
  for (const [way, outcome] of value)
    expect(told(outcome), way).toMatch(/^(?:200 ok|200 upstream_timeout|50[234] upstream_\w+)$/)
  expect(growth).toBeLessThan(GROWTH)
  for (const way of ALL) await settled(way)
})

it('F10 everybody else was answered all the time, and never waited as long as for what floods', async () => {
  const { failures, slowestMs, answers } = await bystander.stop()
  expect(failures).toEqual([])
  expect(answers).toBeGreaterThan(100)
  expect(slowestMs).toBeLessThan(TIMEOUT_MS)
})
