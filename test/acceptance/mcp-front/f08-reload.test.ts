import { rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configurationText, type RunningGateway, startGateway } from '../../support/gateway.ts'
import {
  openStream,
  type OpenStream,
  type Outcome,
  plainEvents,
  plainSession,
  restCall,
} from '../../support/plain-client.ts'
import { ask } from '../../support/postern.ts'
import { soon } from '../../support/soon.ts'
import { type UnrulyHttp, unrulyHttp } from '../../support/unruly-http.ts'
import { isAlive, UNRULY } from '../../support/upstreams/stdio-upstreams.ts'

const ADMIN = 'the-token-that-administers-reloads'
const TOKEN = 'a-token-of-the-tests-of-reloads'
const LEAVER = 'a-token-that-is-taken-away'

/** Long enough for a file to be noticed, read and taken over if it were. */
const UNNOTICED_MS = 1_500

let steady: UnrulyHttp
let gateway: RunningGateway

/** The configuration, as a change at a time makes it. */
interface Parts {
  readonly servers?: Readonly<Record<string, unknown>>
  readonly leaver?: boolean
  /** Who may use the server that is restricted. */
  readonly listed?: readonly string[]
  readonly more?: object
}

const stdio = (...flags: readonly string[]) => ({ command: process.execPath, args: [UNRULY, ...flags] })

const configuration = ({ servers = {}, leaver = true, listed = ['tests', 'leaver'], more = {} }: Parts) => ({
  auth: {
    tokens: {
      root: { value: ADMIN, level: 'admin' },
      tests: { value: TOKEN, level: 'read-write' },
      ...(leaver ? { leaver: { value: LEAVER, level: 'read-write' } } : {}),
    },
  },
  mcpServers: {
    steady: { url: steady.url, timeout: '60s' },
    program: stdio(),
    restricted: { url: steady.url, authTokens: leaver ? listed : listed.filter((name) => name !== 'leaver') },
    changing: { ...stdio(), timeout: '60s' },
    ...servers,
  },
  ...more,
})

/** Replaces the file whole, as editors do. */
async function configure(parts: Parts): Promise<void> {
  const file = join(gateway.dir, 'postern.yaml')
  await writeFile(`${file}.new`, configurationText(configuration(parts)))
  await rename(`${file}.new`, file)
}

const loads = (): number => gateway.log().filter(({ msg }) => msg === 'Configuration loaded').length

/** Does something to the configuration and waits until it is in force. */
async function taken(act: () => Promise<void> | void): Promise<void> {
  const before = loads()
  await act()
  await soon(loads).toBe(before + 1)
}

/** What must not notice anything of a reload. */
interface Untouched {
  readonly streams: readonly OpenStream[]
  readonly slow: Promise<Outcome>
  readonly pid: string
}

let untouched: Untouched

beforeAll(async () => {
  steady = await unrulyHttp('streamable')
  gateway = await startGateway({
    admin: ADMIN,
    configuration: configuration({}),
  })
  const { url } = gateway
  await restCall(url, TOKEN, 'steady__echo')
  const passedOn = await plainSession(`${url}/steady/mcp`, TOKEN)
  const events = await plainEvents(`${url}/steady/sse`, TOKEN)
  const program = await plainSession(`${url}/program/mcp`, TOKEN)
  untouched = {
    streams: [
      await openStream(`${url}/steady/mcp`, passedOn.headers),
      events.stream,
      await openStream(`${url}/program/mcp`, program.headers),
    ],
    slow: passedOn.call('slow', { ms: 12_000 }),
    pid: (await program.call('pid')).text,
  }
})
afterAll(async () => {
  await gateway?.close()
  await steady?.stop()
})

const expectUntouched = (): void => {
  for (const stream of untouched.streams) {
    expect(stream.status).toBe(200)
    expect(stream.isOpen()).toBe(true)
  }
  expect(isAlive(Number(untouched.pid))).toBe(true)
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

describe('F8 a changed file, while streams are open and a call runs', () => {
  it('F8 a server that is new can be used at once', async () => {
    expect((await restCall(gateway.url, TOKEN, 'added__echo')).status).toBe(404)
    await taken(() => configure({ servers: { added: stdio() } }))
    expect(await restCall(gateway.url, TOKEN, 'added__echo', { text: 'new' })).toMatchObject({
      status: 200,
      text: '{"text":"new"}',
    })
    expectUntouched()
  })

  it('F8 a server that is gone ends: its calls, its streams and its process', async () => {
    const session = await plainSession(`${gateway.url}/added/mcp`, TOKEN)
    const stream = await openStream(`${gateway.url}/added/mcp`, session.headers)
    const events = await plainEvents(`${gateway.url}/added/sse`, TOKEN)
    const pid = Number((await session.call('pid')).text)
    const call = session.call('hang')
    await taken(() => configure({}))
    expect((await call).code).toBe('upstream_unavailable')
    await Promise.all([stream.ended, events.stream.ended])
    await soon(() => isAlive(pid)).toBe(false)
    expect((await restCall(gateway.url, TOKEN, 'added__echo')).status).toBe(404)
    expect((await session.request('ping')).status).toBe(404)
    expectUntouched()
  })

  it('F8 a server that is another ends what runs on it, and the next request finds the new one', async () => {
    const session = await plainSession(`${gateway.url}/changing/mcp`, TOKEN)
    const stream = await openStream(`${gateway.url}/changing/mcp`, session.headers)
    const pid = Number((await session.call('pid')).text)
    const call = session.call('hang')
    const env = { WHICH: 'the-second' }
    await taken(() => configure({ servers: { changing: { ...stdio(), env, timeout: '50s' } } }))
    expect((await call).code).toBe('upstream_unavailable')
    await soon(() => isAlive(pid)).toBe(false)
    // The client's session goes on, with the new one behind it, and is told that the tools may be others.
    expect(JSON.parse((await session.call('environment')).text)).toMatchObject(env)
    await soon(() => stream.text()).toContain('notifications/tools/list_changed')
    expect(stream.isOpen()).toBe(true)
    stream.close()
    expectUntouched()
  })

  it('F8 only rules are others: decided by the new ones at once, and nothing ends', async () => {
    const rules = { level: 'admin' }
    const session = await plainSession(`${gateway.url}/changing/mcp`, TOKEN)
    expect((await session.call('echo')).code).toBe('ok')
    await taken(() => configure({ servers: { changing: { ...stdio(), ...rules } } }))
    expect(await restCall(gateway.url, TOKEN, 'changing__echo')).toMatchObject({
      status: 403,
      code: 'level_too_low',
    })
    expectUntouched()
  })

  it('F8 a token that is gone is refused, what it had open ends, and others go on', async () => {
    const session = await plainSession(`${gateway.url}/restricted/mcp`, LEAVER)
    const stream = await openStream(`${gateway.url}/restricted/mcp`, session.headers)
    const other = await plainSession(`${gateway.url}/restricted/mcp`, TOKEN)
    await taken(() => configure({ leaver: false }))
    await stream.ended
    expect((await session.request('ping')).status).toBe(401)
    expect((await restCall(gateway.url, LEAVER, 'steady__echo')).status).toBe(401)
    // `restricted` is configured otherwise now, so sessions with it begin anew.
    expect([200, 404]).toContain((await other.request('ping')).status)
    expect((await restCall(gateway.url, TOKEN, 'restricted__echo')).status).toBe(200)
    expectUntouched()
  })

  it('F8 a token that is no longer listed for a server is refused there, and nowhere else', async () => {
    await taken(() => configure({ listed: ['leaver'] }))
    expect(await restCall(gateway.url, TOKEN, 'restricted__echo')).toMatchObject({
      status: 403,
      code: 'server_not_allowed',
    })
    expect((await restCall(gateway.url, LEAVER, 'restricted__echo')).status).toBe(200)
    expect((await restCall(gateway.url, TOKEN, 'steady__echo')).status).toBe(200)
    expectUntouched()
  })

  it.each<[string, (text: string) => string, RegExp]>([
    ['half written', (text) => text.slice(0, text.length / 2), /postern\.yaml/],
    ['empty', () => '', /postern\.yaml is empty/],
    [
      'a server without an address',
      (text) => text.replace('"program": {', '"program": {}, "x": {'),
      /program/,
    ],
    ['a word too many', (text) => text.replace('"authTokens"', '"authTokenz"'), /authTokenz/],
  ])('F8 a file that is wrong changes nothing, and says what is wrong: %s', async (_, spoil, said) => {
    const before = loads()
    const at = gateway.log().length
    const good = configurationText(configuration({ servers: { sneaked: stdio() } }))
    await writeFile(join(gateway.dir, 'postern.yaml'), spoil(good))
    const told = (): string =>
      gateway
        .log()
        .slice(at)
        .filter(({ msg }) => msg.startsWith('Not reloaded'))
        .map(({ msg }) => msg)
        .join('\n')
    await soon(told).toMatch(said)
    await pause(UNNOTICED_MS)
    expect(loads()).toBe(before)
    expect((await restCall(gateway.url, TOKEN, 'sneaked__echo')).status).toBe(404)
    expect((await restCall(gateway.url, TOKEN, 'steady__echo')).status).toBe(200)
    expectUntouched()
  })

  it('F8 the difference is in the log before it is in force', async () => {
    await taken(() => configure({ servers: { announced: stdio() } }))
    const log = gateway.log()
    const inForce = log.findLastIndex(({ msg }) => msg === 'Configuration loaded')
    const announced = log.findIndex(
      ({ msg, path }) =>
        msg.startsWith('Configuration added') && String(path).startsWith('mcpServers.announced'),
    )
    expect(announced).toBeGreaterThan(0)
    expect(announced).toBeLessThan(inForce)
    // What is new was used by nobody before it was announced.
    const used = await restCall(gateway.url, TOKEN, 'announced__echo')
    expect(used.status).toBe(200)
  })

  it('F8 SIGHUP reads the file again', async () => {
    await taken(() => {
      gateway.serving.signal('SIGHUP')
    })
    await pause(100)
    expect((await restCall(gateway.url, TOKEN, 'announced__echo')).status).toBe(200)
    expectUntouched()
  })

  it('F8 the call that ran all the while is answered', async () => {
    expect(await untouched.slow).toMatchObject({ status: 200, text: 'slow' })
    expectUntouched()
    const { body } = await ask(`${gateway.url}/api/v1/admin/audit?kind=system&limit=100`, ADMIN)
    const acts = (body as { entries: { tool: string }[] }).entries.map(({ tool }) => tool)
    expect(acts.filter((tool) => tool === 'config.reload').length).toBe(loads() - 1)
  })
})
