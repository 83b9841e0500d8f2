import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Bystander, watch } from '../../bad-input/bystander.ts'
import { descendants } from '../../support/children.ts'
import { type RunningGateway, servingPid, startGateway } from '../../support/gateway.ts'
import type { Outcome } from '../../support/plain-client.ts'
import { ask } from '../../support/postern.ts'
import { soon } from '../../support/soon.ts'
import { isAlive, UNRULY } from '../../support/upstreams/stdio-upstreams.ts'
import {
  type Call,
  connectWay,
  WAY_NAMES,
  type WayName,
  WAYS,
  wayServers,
  type WayServers,
} from '../../support/ways.ts'

const TOKEN = 'a-token-of-the-tests-of-bad-servers'
const ADMIN = 'the-token-that-administers-bad-servers'

/** What a call may take. What waits for a broken server is told after this, and nobody else is kept so long. */
const TIMEOUT_MS = 2_000

let servers: WayServers
let gateway: RunningGateway
let bystanders: readonly Bystander[]

const calmTool = () =>
  watch(gateway.url, TOKEN, {
    path: '/mcp/tools/calm__echo',
    json: { text: 'still here' },
    right: /^200 .*still here/,
  })

beforeAll(async () => {
  servers = await wayServers(WAY_NAMES, { timeout: TIMEOUT_MS, connectTimeout: '10s' })
  gateway = await startGateway({
    admin: ADMIN,
    configuration: {
      auth: {
        tokens: { tests: { value: TOKEN, level: 'read-write' }, root: { value: ADMIN, level: 'admin' } },
      },
      mcpServers: { ...servers.mcpServers, calm: { command: process.execPath, args: [UNRULY] } },
    },
  })
  bystanders = [
    calmTool(),
    watch(gateway.url, ADMIN, { path: '/api/v1/admin/servers', right: /^200 .*"name":"calm"/ }),
  ]
  await Promise.all(bystanders.map((one) => one.answered(3)))
})
afterAll(async () => {
  await gateway?.close()
  await servers?.stop()
})

/** The same on all ways at once, each with a client of its own. */
async function everywhere<T>(
  run: (call: Call, way: WayName) => Promise<T>,
  ways: readonly WayName[] = WAY_NAMES,
): Promise<ReadonlyMap<WayName, T>> {
  const all = ways.map(async (way) => {
    const call = await patiently(() => connectWay(gateway.url, TOKEN, way))
    return [way, await run(call, way)] as const
  })
  return new Map(await Promise.all(all))
}

/** What broke a moment ago is left alone for a while; then it works again. */
async function patiently<T>(run: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await run()
    } catch (error) {
      if (attempt === 60) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}

const overHttp = WAY_NAMES.filter((way) => WAYS[way].server !== 'stdio')

/** Every caller gets status and code, with a sentence that has nothing of what the server sent. */
function expectClear(
  outcomes: ReadonlyMap<WayName, Outcome>,
  usual: string,
  unusual: Partial<Record<WayName, string>> = {},
): void {
  const told = Object.fromEntries([...outcomes].map(([way, { status, code }]) => [way, `${status} ${code}`]))
  const code = usual.slice(4)
  const expected = Object.fromEntries(
    // On the stream of 2024-11-05 an answer has no status of its own.
    [...outcomes.keys()].map((way) => [
      way,
      unusual[way] ?? (WAYS[way].client === 'events' ? `202 ${code}` : usual),
    ]),
  )
  expect(told).toEqual(expected)
  for (const [way, outcome] of outcomes) {
    expect(outcome.text, way).toMatch(/^(?:MCP server "|The MCP server).{15,}\.$/)
    expect(outcome.raw, way).not.toMatch(/"text":"this is no message|upstream-page| at .*\.ts:/)
  }
}

async function expectWorking(): Promise<void> {
  const texts = await everywhere(async (call) => {
    const outcome = await patiently(async () => {
      const answered = await call('echo', { text: 'again' })
      if (answered.code !== 'ok') throw new Error(`${answered.status} ${answered.code}`)
      return answered
    })
    return outcome.text
  })
  expect([...new Set(texts.values())]).toEqual(['{"text":"again"}'])
}

describe('F10 a server', () => {
  it('F10 that answers is reached on every way', expectWorking)

  it('F10 that dies in the middle of a call: told at once, and used again when it is there again', async () => {
    const outcomes = await everywhere(async (call, way) => {
      const died = servers.http(way)?.ended
      const outcome = await call('crash')
      await died
      await servers.http(way)?.again()
      return outcome
    })
    expectClear(outcomes, '503 upstream_unavailable')
    for (const { ms } of outcomes.values()) expect(ms).toBeLessThan(TIMEOUT_MS)
    await expectWorking()
  })

  it('F10 that is stopped: told when its time is over, used again when it goes on', async () => {
    const outcomes = await everywhere(async (call, way) => {
      const pid = servers.http(way)?.pid ?? Number((await call('pid')).text)
      process.kill(pid, 'SIGSTOP')
      const outcome = await call('echo')
      process.kill(pid, 'SIGCONT')
      return outcome
    })
    expectClear(outcomes, '504 upstream_timeout')
    await expectWorking()
  })

  it('F10 that never answers, or begins an event stream and says no more: told when its time is over', async () => {
    const [silent, begun] = await Promise.all([
      everywhere((call) => call('hang')),
      everywhere((call) => call('hang-in-stream'), overHttp),
    ])
    expectClear(silent, '504 upstream_timeout')
    // What is passed on has begun by then: the error is the last event.
    const passedOn = {
      'streamable-direct': '200 upstream_timeout',
      'stateless-direct': '200 upstream_timeout',
    }
    expectClear(begun, '504 upstream_timeout', passedOn)
    for (const { ms } of [...silent.values(), ...begun.values()]) {
      expect(ms).toBeGreaterThan(TIMEOUT_MS - 100)
      expect(ms).toBeLessThan(TIMEOUT_MS + 5_000)
    }
  })

  it('F10 that answers with garbage, with a page of its own, or with no message on an event stream', async () => {
    const [garbage, page, inStream] = await Promise.all([
      everywhere((call, way) => call('garbage', overHttp.includes(way) ? {} : { lines: 1_000 })),
      everywhere((call) => call('page'), overHttp),
      everywhere((call) => call('garbage-in-stream'), overHttp),
    ])
    // On the one stream of a session nobody can tell which call the garbage was for.
    const oneStream = { 'sse-session': '504 upstream_timeout' }
    expectClear(garbage, '502 upstream_invalid', oneStream)
    expectClear(page, '502 upstream_invalid', oneStream)
    expectClear(inStream, '502 upstream_invalid', {
      ...oneStream,
      'streamable-direct': '200 upstream_invalid',
      'stateless-direct': '200 upstream_invalid',
    })
    await expectWorking()
  })

  it('F10 that breaks off in the middle of a line, a body or an event', async () => {
    expectClear(await everywhere((call) => call('half')), '503 upstream_unavailable')
    expectClear(await everywhere((call) => call('half-in-stream'), overHttp), '503 upstream_unavailable', {
      'streamable-direct': '200 upstream_unavailable',
      'stateless-direct': '200 upstream_unavailable',
    })
    await expectWorking()
  })
})

describe('F10 everybody else', () => {
  it('F10 was answered all the time, and never waited as long as for what is broken', async () => {
    const seen = await Promise.all(bystanders.map((one) => one.stop()))
    const quietly = calmTool()
    await quietly.answered(30)
    const { medianMs } = await quietly.stop()
    for (const { failures, slowestMs, answers, medianMs: among } of seen) {
      expect(failures).toEqual([])
      expect(answers).toBeGreaterThan(50)
      expect(slowestMs).toBeLessThan(TIMEOUT_MS)
      expect(among).toBeLessThan(10 * medianMs + 50)
    }
  })

  it('F10 the operator is told what is wrong, in the log and by the admin API', async () => {
    const { body } = await ask(`${gateway.url}/api/v1/admin/servers`, ADMIN)
    const { servers: all } = body as { servers: { name: string; restarts: number; state: string }[] }
    for (const way of ['stdio-session', 'stdio-stateless'])
      expect(all.find(({ name }) => name === way)?.restarts).toBeGreaterThan(0)
    const problems = gateway.log().filter(({ server }) => server === 'stdio-session')
    expect(JSON.stringify(problems)).toMatch(/exit code 7/)
    expect(JSON.stringify(problems)).toMatch(/no messages/)
  })

  it('F10 nothing is left running when Postern stops', async () => {
    const before = descendants(servingPid(gateway.serving))
    expect(before.length).toBeGreaterThan(0)
    expect((await gateway.serving.stop()).code).toBe(0)
    await soon(() => before.filter(isAlive)).toEqual([])
  })
})
