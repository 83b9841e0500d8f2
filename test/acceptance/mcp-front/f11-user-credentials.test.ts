import { randomBytes } from 'node:crypto'
import { readdir, readFile, stat } from 'node:fs/promises'
import type { IncomingHttpHeaders } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type FixtureProcess, fixtureProcess } from '../../support/fixture-upstream.ts'
import { type RunningGateway, startGateway } from '../../support/gateway.ts'
import { type Answer, ask } from '../../support/postern.ts'
import { type Recorder, startRecorder } from '../../support/recorder.ts'

const word = (what: string): string => `${what}${randomBytes(12).toString('hex')}`
const tokens = { admin: word('admin'), alice: word('alice'), alice2: word('second'), bob: word('bob') }
const values = {
  alice: word('keyofalice'),
  changed: word('changed'),
  bob: word('keyofbob'),
  cli: word('cli'),
}
const shared = word('shared')

let fixture: FixtureProcess
let recorder: Recorder
let gateway: RunningGateway

beforeAll(async () => {
  fixture = await fixtureProcess({ revision: '2025-11-25', transport: 'http' })
  recorder = await startRecorder(fixture.url)
  const place = { header: 'X-Api-Key', prefix: 'Key ' }
  gateway = await startGateway({
    admin: tokens.admin,
    configuration: {
      log: { level: 'debug' },
      auth: {
        tokens: {
          root: { value: tokens.admin, level: 'admin' },
          alice: { value: tokens.alice, owner: 'alice' },
          second: { value: tokens.alice2, owner: 'alice' },
          bob: { value: tokens.bob, owner: 'bob' },
        },
      },
      mcpServers: {
        wiki: { url: recorder.url, level: 'read-only', userCredential: { ...place, required: true } },
        notes: {
          url: recorder.url,
          level: 'read-only',
          userCredential: { ...place, required: false },
          headers: { 'X-Shared': shared },
        },
        plain: { url: recorder.url, level: 'read-only', authTokens: ['bob'] },
      },
    },
  })
}, 120_000)
afterAll(async () => {
  await gateway?.close()
  await recorder?.close()
  await fixture?.stop()
})

const own = (server: string, token: string, method = 'GET', json?: unknown): Promise<Answer> =>
  ask(`${gateway.url}/api/v1/servers/${server}/credential`, token, {
    method,
    ...(json === undefined ? {} : { json }),
  })
const administered = (path: string, method = 'GET', json?: unknown): Promise<Answer> =>
  ask(`${gateway.url}/api/v1/admin/servers/${path}`, tokens.admin, {
    method,
    ...(json === undefined ? {} : { json }),
  })

const HEADERS = { accept: 'application/json, text/event-stream' }

async function begin(
  server: string,
  token: string,
): Promise<{ status: number; body: unknown; session: string | null }> {
  const { status, body, headers } = await ask(`${gateway.url}/${server}/mcp`, token, {
    json: {
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 't', version: '1' } },
    },
    headers: HEADERS,
  })
  return { status, body, session: headers.get('mcp-session-id') }
}

const call = (server: string, token: string, session: string): Promise<Answer> =>
  ask(`${gateway.url}/${server}/mcp`, token, {
    json: {
      jsonrpc: '2.0',
      id: 2,
      method: 'tools/call',
      params: { name: 'test_simple_text', arguments: {} },
    },
    headers: { ...HEADERS, 'mcp-session-id': session, 'mcp-protocol-version': '2025-11-25' },
  })

/** The headers of the last call that reached the server. */
const lastCall = (): IncomingHttpHeaders | undefined =>
  recorder.asked.findLast(({ message }) => (message as { method?: string } | null)?.method === 'tools/call')
    ?.headers

/** The keys that the server was shown since. */
const keysSince = (at: number): readonly unknown[] => [
  ...new Set(recorder.asked.slice(at).map(({ headers }) => headers['x-api-key'])),
]

describe('F11 a credential of one’s own', () => {
  it('is asked for by a server that needs it, which is not reached without', async () => {
    const at = recorder.asked.length
    const refused = await begin('wiki', tokens.alice)
    expect(JSON.stringify(refused.body)).toContain('upstream_credential_missing')
    expect(recorder.asked).toHaveLength(at)
    expect((await own('wiki', tokens.alice)).body).toEqual({ server: 'wiki', present: false, required: true })
  })

  it('is left, and goes to that server with that principal’s requests, whatever token it shows', async () => {
    const left = await own('wiki', tokens.alice, 'PUT', { value: values.alice })
    expect(left).toMatchObject({
      status: 200,
      body: { server: 'wiki', tenant: 'default', principal: 'alice' },
    })
    expect(JSON.stringify(left.body)).not.toContain(values.alice)
    for (const token of [tokens.alice, tokens.alice2]) {
      const at = recorder.asked.length
      const { session } = await begin('wiki', token)
      expect((await call('wiki', token, session ?? '')).status).toBe(200)
      expect(keysSince(at)).toEqual([`Key ${values.alice}`])
    }
    expect((await own('wiki', tokens.alice2)).body).toMatchObject({ present: true })
    expect((await own('wiki', tokens.bob)).body).toMatchObject({ present: false })
  })

  it('is one of several: where it is not required, the server’s own goes alone', async () => {
    const at = recorder.asked.length
    expect((await begin('notes', tokens.bob)).status).toBe(200)
    expect(keysSince(at)).toEqual([undefined])
    expect(recorder.asked.at(-1)?.headers).toMatchObject({ 'x-shared': shared })
    await own('notes', tokens.bob, 'PUT', { value: values.bob })
    const { session } = await begin('notes', tokens.bob)
    expect((await call('notes', tokens.bob, session ?? '')).status).toBe(200)
    expect(recorder.asked.at(-1)?.headers).toMatchObject({
      'x-api-key': `Key ${values.bob}`,
      'x-shared': shared,
    })
  })

  it('takes what was begun with it along when it is changed or removed', async () => {
    const { session } = await begin('wiki', tokens.alice)
    const stream = await fetch(`${gateway.url}/wiki/mcp`, {
      headers: {
        ...HEADERS,
        accept: 'text/event-stream',
        authorization: `Bearer ${tokens.alice}`,
        'mcp-session-id': session ?? '',
        'mcp-protocol-version': '2025-11-25',
      },
    })
    expect(stream.status).toBe(200)
    const ended = stream.text().then(
      () => 'ended',
      () => 'ended',
    )
    const at = recorder.asked.length
    await own('wiki', tokens.alice, 'PUT', { value: values.changed })
    expect(await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 5_000, 'open'))])).toBe(
      'ended',
    )
    await call('wiki', tokens.alice, session ?? '')
    const fresh = await begin('wiki', tokens.alice)
    expect((await call('wiki', tokens.alice, fresh.session ?? '')).status).toBe(200)
    // What tells the server that the old session is over may still show the old one; requests do not.
    expect(lastCall()?.['x-api-key']).toBe(`Key ${values.changed}`)
    expect(keysSince(at)).toContain(`Key ${values.changed}`)

    expect((await own('wiki', tokens.alice, 'DELETE')).body).toEqual({ removed: true })
    const before = recorder.asked.filter(
      ({ headers }) => headers['x-api-key'] === `Key ${values.changed}`,
    ).length
    await call('wiki', tokens.alice, fresh.session ?? '')
    expect(JSON.stringify((await begin('wiki', tokens.alice)).body)).toContain('upstream_credential_missing')
    const after = recorder.asked.filter(
      ({ headers }) => headers['x-api-key'] === `Key ${values.changed}`,
    ).length
    // At most the good-byes of the two sessions.
    expect(after - before).toBeLessThanOrEqual(2)
    expect((await own('wiki', tokens.alice, 'DELETE')).body).toEqual({ removed: false })
  })

  it('is nobody’s business who may not use the server; a server that takes none says so', async () => {
    expect((await own('plain', tokens.alice)).status).toBe(403)
    expect((await own('nowhere', tokens.alice)).status).toBe(404)
    expect(await own('plain', tokens.bob, 'PUT', { value: 'x' })).toMatchObject({
      status: 409,
      body: { code: 'conflict' },
    })
  })

  it.each([
    ['a line end', 'a\r\nX-Evil: b'],
    ['a blank at its end', 'qzqzqz '],
    ['letters beyond ASCII', 'schlüssel'],
    ['nothing', ''],
    ['far too much', 'x'.repeat(9_000)],
  ])('with %s is refused without being repeated', async (_, value) => {
    const refused = await own('wiki', tokens.alice, 'PUT', { value })
    expect(refused.status).toBe(400)
    if (value !== '') expect(JSON.stringify(refused.body)).not.toContain(value.slice(0, 20))
  })

  it('is administered by name: listed, left for somebody, removed, recorded', async () => {
    expect((await administered('wiki/credentials/bob', 'PUT', { value: values.bob })).status).toBe(200)
    const list = await administered('wiki/credentials')
    expect(list.body).toMatchObject({
      credentials: [{ server: 'wiki', principal: 'bob', tenant: 'default' }],
    })
    const at = recorder.asked.length
    await begin('wiki', tokens.bob)
    expect(keysSince(at)).toEqual([`Key ${values.bob}`])
    expect((await administered('wiki/credentials/bob', 'DELETE')).body).toEqual({ removed: true })
    expect((await ask(`${gateway.url}/api/v1/admin/servers/wiki/credentials`, tokens.bob)).status).toBe(403)
    const acts = async (): Promise<unknown> =>
      (await ask(`${gateway.url}/api/v1/admin/audit?kind=administration`, tokens.admin)).body
    await expect.poll(acts, { timeout: 10_000 }).toMatchObject({
      entries: expect.arrayContaining([
        expect.objectContaining({ tool: 'server.credential.set', who: 'alice', target: 'wiki alice' }),
        expect.objectContaining({ tool: 'server.credential.set_for', who: 'root', target: 'wiki bob' }),
        expect.objectContaining({ tool: 'server.credential.remove_for', target: 'wiki bob' }),
      ]),
    })
  })

  it('lies in no file, log or reply as it is; the key lies beside, for its owner only', async () => {
    await own('wiki', tokens.alice, 'PUT', { value: values.alice })
    const data = join(gateway.dir, '.postern')
    const texts = [gateway.serving.stderr(), gateway.serving.stdout()]
    for (const name of await readdir(data)) {
      const path = join(data, name)
      if ((await stat(path)).isFile()) texts.push(await readFile(path, 'latin1'))
    }
    for (const path of ['/api/v1/admin/audit?limit=1000', '/metrics', '/api/v1/admin/servers']) {
      texts.push(JSON.stringify((await ask(`${gateway.url}${path}`, tokens.admin)).body))
    }
    for (const value of [...Object.values(values), shared]) {
      for (const text of texts) expect(text.includes(value)).toBe(false)
    }
    expect((await stat(join(data, 'secret.key'))).mode & 0o777).toBe(0o600)
    expect(
      gateway.log().some(({ level, msg }) => level === 'WARN' && msg.includes('made the key file')),
    ).toBe(true)
  })

  it('never is the token of the caller', () => {
    const shown = JSON.stringify(recorder.asked)
    for (const token of Object.values(tokens)) expect(shown).not.toContain(token)
  })
})
