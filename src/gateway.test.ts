import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadSettings } from './config/load.ts'
import type { Settings } from './config/settings.ts'
import { type Gateway, startGateway } from './gateway.ts'
import { systemClock } from './lib/clock.ts'
import type { Observation } from './observe/observation.ts'

let dir: string
let gateway: Gateway | undefined
const observations: Observation[] = []

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-gateway-'))
  observations.length = 0
})
afterEach(async () => {
  await gateway?.close()
  gateway = undefined
  await rm(dir, { recursive: true, force: true })
})

async function settingsOf(configuration: Readonly<Record<string, unknown>>): Promise<Settings> {
  const file = join(dir, 'postern.json')
  await writeFile(file, JSON.stringify({ server: { addr: '127.0.0.1:0' }, ...configuration }))
  const loaded = await loadSettings({ file, cwd: dir, env: {} })
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.error))
  return loaded.value.settings
}

const ADMIN = 'an-admin-token-for-this-test'
const CLERK = 'a-clerk-token-for-this-test'
const tokens = { admin: { value: ADMIN, level: 'admin' } }

const started = async (settings: Settings): Promise<Gateway> =>
  await startGateway({
    settings,
    demo: false,
    environment: {},
    clock: systemClock,
    observe: (observation) => observations.push(observation),
  })

const warnings = (): readonly string[] =>
  observations.flatMap((one) =>
    // Each test starts in a folder of its own, where there is no secret yet.
    one.kind === 'config.warning' && !one.message.startsWith('made the JWT secret') ? [one.message] : [],
  )

describe('reload', () => {
  it('takes tokens over, records it, and says what must wait for a restart', async () => {
    const settings = await settingsOf({ auth: { tokens } })
    gateway = await started(settings)
    const { url } = gateway
    const ask = async (path: string, token: string): Promise<Response> =>
      await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${token}` } })

    gateway.reload(await settingsOf({ auth: { tokens: { ...tokens, clerk: CLERK } } }))
    expect((await ask('/mcp/tools', CLERK)).status).toBe(200)
    expect(warnings()).toEqual([])

    gateway.reload(await settingsOf({ auth: { tokens }, limits: { rows: 7 }, log: { level: 'warn' } }))
    expect((await ask('/mcp/tools', CLERK)).status).toBe(401)
    expect(warnings()).toEqual(['in force only after a restart: limits.rows, log.level'])

    // A gateway that is closed has written its whole record; until then nobody can say how long that takes.
    await gateway.close()
    gateway = await started(settings)
    const record = await fetch(`${gateway.url}/api/v1/admin/audit?tool=config.reload`, {
      headers: { authorization: `Bearer ${ADMIN}` },
    })
    expect(await record.json()).toMatchObject({ entries: [{ kind: 'system' }, { kind: 'system' }] })
  })
})

describe('start', () => {
  it('serves no two databases of one name, of which one would answer for the other', async () => {
    const database = { name: 'sample', host: '127.0.0.1', port: 1, database: 'a', user: 'reader' }
    const settings = await settingsOf({ auth: { tokens }, databases: [database] })
    const twice = { ...settings, databases: [...settings.databases, ...settings.databases] }
    await expect(started(twice)).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringContaining('"sample" names two databases') as string,
    })
  })
})
