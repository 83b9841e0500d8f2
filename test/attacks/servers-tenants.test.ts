import { afterAll, beforeAll, expect, test } from 'vitest'
import { type RunningGateway, startGateway } from '../support/gateway.ts'
import { plainSession } from '../support/plain-client.ts'
import { ask } from '../support/postern.ts'
import { rawSessionMcp, type RawMcp } from '../support/upstreams/raw-mcp.ts'

const OURS = 'a-token-of-the-first-tenant-of-these-tests'
const THEIRS = 'a-token-of-an-administrator-of-another-tenant'

let gateway: RunningGateway
let server: RawMcp
beforeAll(async () => {
  server = await rawSessionMcp(() => false, { session: 'one' })
  gateway = await startGateway({
    configuration: {
      auth: {
        tokens: {
          ours: { value: OURS, level: 'admin' },
          theirs: { value: THEIRS, level: 'admin', tenant: 'acme', servers: ['theirs'] },
        },
      },
      mcpServers: {
        ours: { url: server.url, transport: 'streamable' },
        theirs: {
          url: server.url,
          transport: 'streamable',
          userCredential: { header: 'x-key', required: false },
        },
      },
    },
  })
})
afterAll(async () => {
  await gateway.close()
  await server.close()
})

test('an administrator of another tenant ends nobody else’s conversations', async () => {
  await plainSession(`${gateway.url}/ours/mcp`, OURS)
  const restart = (name: string) =>
    ask(`${gateway.url}/api/v1/admin/servers/${name}/restart`, THEIRS, { method: 'POST' })
  expect((await restart('ours')).status).toBeGreaterThanOrEqual(400)
  expect((await restart('theirs')).status).toBe(403)
  const state = await ask(`${gateway.url}/api/v1/admin/servers/ours`, OURS)
  expect(state.body).toMatchObject({ conversations: 1 })
})

test('and sees only servers that are open to it', async () => {
  const listed = await ask(`${gateway.url}/api/v1/admin/servers`, THEIRS)
  expect((listed.body as { servers: { name: string }[] }).servers.map(({ name }) => name)).toEqual(['theirs'])
  expect((await ask(`${gateway.url}/api/v1/admin/servers/ours`, THEIRS)).status).toBe(404)
})

test('and leaves credentials only for what its own grant reaches', async () => {
  const put = (path: string) =>
    ask(`${gateway.url}/api/v1/admin/servers/${path}`, THEIRS, { method: 'PUT', json: { value: 'x' } })
  expect((await put('theirs/credentials/bob')).status).toBe(200)
  expect((await put('theirs/credentials/bob?tenant=default')).status).toBe(403)
  expect((await ask(`${gateway.url}/api/v1/admin/servers/theirs/credentials`, OURS)).body).toMatchObject({
    credentials: [{ tenant: 'acme', principal: 'bob' }],
  })
})
