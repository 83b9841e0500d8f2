import { readFileSync } from 'node:fs'
import { beforeEach, describe, expect, it } from 'vitest'
import { callerOf, controlParts } from '../../test/support/http-parts.ts'
import { manualClock } from '../../test/support/clock.ts'
import type { Caller } from '../identity/caller.ts'
import type { Level } from '../identity/grant.ts'
import { isPublicPath } from './public-paths.ts'
import { controlRoutes } from './routes/index.ts'

let parts: ReturnType<typeof controlParts>
let notes: { route?: string; code?: string }

beforeEach(() => {
  parts = controlParts(manualClock())
  notes = {}
})

interface Answer {
  readonly status: number
  readonly headers: Headers
  readonly body: Record<string, unknown>
}

async function ask(
  who: Level | Caller | null,
  path: string,
  init: { method?: string; json?: unknown; body?: string; type?: string } = {},
): Promise<Answer> {
  const caller = typeof who === 'string' ? callerOf(who) : (who ?? undefined)
  const body = init.json === undefined ? init.body : JSON.stringify(init.json)
  const response = await parts.app.request(
    path,
    {
      method: init.method ?? (body === undefined ? 'GET' : 'POST'),
      ...(body === undefined ? {} : { body, headers: { 'content-type': init.type ?? 'application/json' } }),
    },
    {
      caller,
      requestId: 'req-1',
      remoteAddress: '192.0.2.1',
      baseUrl: 'https://gate.example.org',
      begin() {
        throw new Error('no reply of this test is that long')
      },
      credentialShown: caller !== undefined,
      signal: new AbortController().signal,
      note: (fact) => Object.assign(notes, fact),
    },
  )
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>),
  }
}

describe('who may come in', () => {
  it.each(['/health', '/api/v1/health'])('%s answers a bare word to anybody', async (path) => {
    expect(await ask(null, path)).toMatchObject({ status: 200, body: { status: 'ok' } })
    expect(Object.keys((await ask(null, `${path}?t=1`)).body)).toEqual(['status'])
    expect(Object.keys((await ask('read-write', path)).body)).toEqual(['status'])
    expect((await ask('admin', path)).body).toMatchObject({ databases: [{ name: 'main', state: 'up' }] })
  })

  it('asks for a credential on every route that is not public, and on paths that do not exist', async () => {
    for (const route of routeTable()) {
      if (route.access === 'public') continue
      const answer = await ask(null, route.path.replace(/\{\w+\}/g, 'x'), { method: route.method })
      expect([route.path, answer.status]).toEqual([route.path, 401])
      expect(answer.headers.get('www-authenticate')).toBe(
        'Bearer realm="postern", resource_metadata="https://gate.example.org/.well-known/oauth-protected-resource/mcp"',
      )
      expect(answer.body).toMatchObject({ error: 'unauthorized', code: 'unauthorized', request_id: 'req-1' })
    }
    expect((await ask(null, '/nothing')).status).toBe(401)
    expect((await ask('read-only', '/nothing')).status).toBe(404)
  })

  it('keeps the public list and the route table in step', () => {
    for (const route of routeTable()) {
      const path = route.path.replace(/\{\w+\}/g, 'x')
      expect([path, isPublicPath(path)]).toEqual([path, route.access === 'public'])
    }
  })

  it('refuses levels below the one a route needs, names both, and records it', async () => {
    for (const route of routeTable().filter(({ access }) => access === 'admin')) {
      for (const level of ['read-only', 'read-write'] as const) {
        const answer = await ask(level, route.path.replace(/\{\w+\}/g, 'x'), { method: route.method })
        expect(answer.status).toBe(403)
        expect(answer.body).toMatchObject({
          error: 'forbidden',
          code: 'level_too_low',
          rule: 'level',
          message: `level admin is needed, this credential has ${level}`,
        })
        expect(parts.events.at(-1)).toMatchObject({ kind: 'decision', outcome: 'refuse', action: route.name })
      }
    }
  })
})

describe('one error shape', () => {
  it('names an unknown field and a near one', async () => {
    const answer = await ask('admin', '/api/v1/admin/tokens', { json: { note: 'a', levle: 'admin' } })
    expect(answer.status).toBe(400)
    expect(answer.body).toMatchObject({ error: 'bad_request', code: 'invalid_request', rule: 'http.body' })
    expect(answer.body['message']).toBe('unknown field "levle": did you mean "level"?')
  })

  it.each([
    ['{"note": ', 400, 'invalid_request'],
    ['{"note":"a","note":"b"}', 400, 'invalid_request'],
    ['[]', 400, 'invalid_request'],
    ['null', 400, 'invalid_request'],
    ['{"__proto__":{"note":"a"}}', 400, 'invalid_request'],
    ['{"note":"a","level":"root"}', 400, 'invalid_request'],
    ['{"note":"a","expiry":"6m"}', 400, 'invalid_request'],
    ['['.repeat(100_000), 400, 'invalid_request'],
    ['', 400, 'invalid_request'],
  ])('refuses the body %.30j', async (body, status, code) => {
    const answer = await ask('admin', '/api/v1/admin/tokens', { method: 'POST', body })
    expect(answer).toMatchObject({ status, body: { code } })
    expect(JSON.stringify(answer.body)).not.toContain('    at ')
  })

  it.each([
    'text/plain',
    'application/x-www-form-urlencoded',
    'application/json; charset=latin1',
    'multipart/form-data',
  ])('refuses the type %s', async (type) => {
    const answer = await ask('admin', '/api/v1/admin/tokens', { body: '{"note":"a"}', type })
    expect(answer).toMatchObject({ status: 415, body: { error: 'unsupported_media_type' } })
  })

  it('refuses a wrong method with Allow', async () => {
    const answer = await ask('admin', '/api/v1/admin/tokens', { method: 'PUT' })
    expect(answer).toMatchObject({ status: 405, body: { code: 'method_not_allowed' } })
    expect(answer.headers.get('allow')).toBe('GET, POST, HEAD, OPTIONS')
    const options = await ask('admin', '/api/v1/admin/tokens/x', { method: 'OPTIONS' })
    expect([options.status, options.headers.get('allow')]).toEqual([204, 'DELETE, OPTIONS'])
  })

  it('answers HEAD like GET without the content', async () => {
    const answer = await ask('read-only', '/mcp/tools', { method: 'HEAD' })
    expect(answer).toMatchObject({ status: 200, body: {} })
  })

  it('refuses unknown, repeated and malformed query parameters', async () => {
    const explain = '/api/v1/access/explain'
    expect((await ask('admin', `${explain}?tool=echo&databse=x`)).body['message']).toContain(
      'did you mean "database"',
    )
    expect((await ask('admin', `${explain}?tool=echo&tool=post`)).status).toBe(400)
    expect((await ask('admin', explain)).body['message']).toContain('"tool"')
    expect((await ask('admin', '/mcp/tools?access_token=x')).status).toBe(400)
    for (const query of ['limit=0', 'limit=1001', 'limit=1e2', 'cursor=-1', 'since=yesterday', 'outcome=x']) {
      expect([query, (await ask('admin', `/api/v1/admin/audit?${query}`)).status]).toEqual([query, 400])
    }
  })

  it('answers a defect with a request id and nothing else', async () => {
    const answer = await ask('admin', '/mcp/tools/broken', { json: {} })
    expect(answer.status).toBe(500)
    expect(answer.body).toEqual({
      error: 'internal',
      code: 'internal',
      message: expect.stringContaining('request id') as string,
      request_id: 'req-1',
    })
    expect(notes).toMatchObject({ route: '/mcp/tools/{tool}', code: 'internal' })
    expect(parts.observations).toContainEqual(
      expect.objectContaining({
        kind: 'fault',
        error: expect.any(TypeError) as TypeError,
        requestId: 'req-1',
      }),
    )
  })
})

describe('tools', () => {
  it('P1 calls a tool with the body as its arguments', async () => {
    const answer = await ask('read-only', '/mcp/tools/echo', { json: { query: 'customer' } })
    expect(answer).toMatchObject({ status: 200, body: { args: { query: 'customer' } } })
    const form = { body: '{"query": "customer"}', type: 'application/x-www-form-urlencoded' }
    expect((await ask('read-only', '/mcp/tools/echo', form)).body).toEqual(answer.body)
    expect((await ask('read-only', '/mcp/tools/echo', { method: 'POST' })).body).toEqual({ args: {} })
    expect((await ask('read-only', '/mcp/tools/greet', { json: {} })).body).toEqual({
      content: [{ type: 'text', text: 'hello' }],
    })
    expect((await ask('read-only', '/mcp/tools/echo', { body: 'a=1', type: form.type })).status).toBe(400)
  })

  it('P1 lists what this caller may call', async () => {
    const names = async (level: Level): Promise<unknown> =>
      ((await ask(level, '/mcp/tools')).body['tools'] as { name: string }[]).map(({ name }) => name)
    expect(await names('read-only')).toEqual(['broken', 'echo', 'greet', 'scoped'])
    expect(await names('read-write')).toContain('post')
  })

  it('C2 names all scopes that are needed', async () => {
    const caller = callerOf('admin', { scopes: ['stats:read'] })
    const answer = await ask(caller, '/mcp/tools/scoped', { json: {} })
    expect(answer).toMatchObject({ status: 403, body: { scopes: ['stats:read', 'stats:write'] } })
    expect(answer.headers.get('www-authenticate')).toContain(
      'error="insufficient_scope", scope="stats:read stats:write"',
    )
  })

  it('says 403 for a level and 404 for a tool that does not exist', async () => {
    expect((await ask('read-only', '/mcp/tools/post', { json: {} })).body).toMatchObject({
      code: 'level_too_low',
    })
    expect((await ask('admin', '/mcp/tools/nothing', { json: {} })).status).toBe(404)
  })

  it('runs SQL through the pipeline and records it', async () => {
    const answer = await ask('read-only', '/api/v1/query', { json: { sql: 'SELECT 7' } })
    expect(answer).toMatchObject({ status: 200, body: { rows: [[7]], row_count: 1, truncated: false } })
    expect(parts.events.map(({ kind, outcome }) => `${kind} ${outcome}`)).toEqual([
      'decision allow',
      'execution done',
    ])
    const refused = await ask('read-only', '/api/v1/query', { json: { sql: 'DELETE FROM t' } })
    expect(refused).toMatchObject({ status: 403, body: { node: 'DeleteStmt', rule: 'sql.node' } })
    const bound = callerOf('read-only', { databases: ['main'] })
    const other = await ask(bound, '/api/v1/query', { json: { sql: 'SELECT 1', database: 'other' } })
    expect(other).toMatchObject({ status: 403, body: { code: 'database_not_allowed', candidates: ['main'] } })
    expect((await ask('read-only', '/api/v1/query', { json: {} })).status).toBe(400)
    expect(JSON.stringify(parts.events)).not.toContain('DELETE FROM')
  })
})

describe('tokens', () => {
  const add = (json: unknown, who: Level | Caller = 'admin'): Promise<Answer> =>
    ask(who, '/api/v1/admin/tokens', { json })

  it('issues, lists, rotates and removes, and records each act without the value', async () => {
    const added = await add({ note: 'report', owner: 'ann', expiry: '30d' })
    expect(added.status).toBe(201)
    const token = String(added.body['token'])
    expect(token).toMatch(/^pst_/)
    const listed = await ask('admin', '/api/v1/admin/tokens')
    expect(listed.body).toMatchObject({ tokens: [{ note: 'report', owner: 'ann', status: 'valid' }] })
    expect(JSON.stringify(listed.body)).not.toContain(token)
    const id = String(added.body['id'])
    const rotated = await ask('admin', `/api/v1/admin/tokens/${id}/rotate`, { json: { grace: '24h' } })
    expect(rotated).toMatchObject({ status: 201, body: { predecessor: { id, status: 'revoked' } } })
    const next = String(rotated.body['id'])
    expect((await ask('admin', `/api/v1/admin/tokens/${next}`, { method: 'DELETE' })).status).toBe(200)
    expect((await ask('admin', '/api/v1/admin/tokens/tok_9', { method: 'DELETE' })).status).toBe(404)
    const acts = parts.events.filter(({ kind }) => kind === 'administration')
    expect(acts.map(({ action, outcome, target }) => [action, outcome, target])).toEqual([
      ['token.add', 'done', id],
      ['token.rotate', 'done', id],
      ['token.remove', 'done', next],
      ['token.remove', 'refuse', undefined],
    ])
    expect(JSON.stringify(parts.events)).not.toContain('pst_')
  })

  it('hands out no more than the issuer holds', async () => {
    const bound = callerOf('admin', { databases: ['main'], scopes: ['a'] })
    expect((await add({ note: 'x' }, bound)).body).toMatchObject({ databases: ['main'], scopes: ['a'] })
    expect((await add({ note: 'x', databases: 'all' }, bound)).body).toMatchObject({
      code: 'database_not_allowed',
    })
    expect((await add({ note: 'x', databases: ['other'] }, bound)).status).toBe(403)
    const scoped = await add({ note: 'x', scopes: ['a', 'b'] }, bound)
    expect(scoped.status).toBe(403)
    expect(scoped.headers.get('www-authenticate')).toContain('error="insufficient_scope", scope="a b"')
    const unbounded = await add({ note: 'x', scopes: 'all' }, bound)
    expect(unbounded.status).toBe(403)
    expect(unbounded.headers.get('www-authenticate')).not.toContain('scope=')
    const wide = await add({ note: 'wide' })
    const path = `/api/v1/admin/tokens/${String(wide.body['id'])}/rotate`
    expect((await ask(bound, path, { method: 'POST' })).status).toBe(403)
  })

  it('keeps tenants apart: the token of another one looks like none', async () => {
    const theirs = await add({ note: 'theirs', tenant: 'b' })
    const ours = callerOf('admin', { tenant: 'a' })
    expect((await add({ note: 'x', tenant: 'b' }, ours)).body).toMatchObject({ code: 'tenant_not_allowed' })
    expect((await add({ note: 'x' }, ours)).body).toMatchObject({ tenant: 'a' })
    expect((await ask(ours, '/api/v1/admin/tokens')).body['tokens']).toHaveLength(1)
    const id = String(theirs.body['id'])
    const prefix = String(theirs.body['hash_prefix']).slice(0, 8)
    const absent = prefix.replaceAll(/./g, (digit) => (digit === 'f' ? '0' : 'f'))
    const answerTo = async (name: string): Promise<unknown> => {
      const { status, body } = await ask(ours, `/api/v1/admin/tokens/${name}`, { method: 'DELETE' })
      return { status, ...body, request_id: '' }
    }
    expect(await answerTo(id)).toMatchObject({ status: 404, code: 'not_found', rule: 'token.id' })
    expect(await answerTo(id)).toEqual(await answerTo('tok_none'))
    for (const name of [prefix, prefix.toUpperCase()]) {
      expect(await answerTo(name)).toEqual({ ...((await answerTo(absent)) as object) })
    }
    // A name that is checked with its spaces and looked up without them would be another name.
    for (const name of [`%20${id}`, `${id}%C2%A0`, `%E2%80%83${prefix}%20`]) {
      expect(await answerTo(name)).toMatchObject({ status: 404, code: 'not_found' })
    }
    expect((await ask('admin', '/api/v1/admin/tokens')).body['tokens']).toContainEqual(
      expect.objectContaining({ id, status: 'valid' }),
    )
    expect((await ask(ours, `/api/v1/admin/tokens/${id}/rotate`, { method: 'POST' })).status).toBe(404)
    expect((await ask(ours, `/api/v1/access/explain?tool=echo&credential_id=${id}`)).status).toBe(404)
  })
})

describe('access and audit', () => {
  it('explains the own credential to anyone and others to administrators', async () => {
    const own = await ask('read-only', '/api/v1/access/explain?tool=post')
    expect(own).toMatchObject({ status: 200, body: { allowed: false, rule: 'level', code: 'level_too_low' } })
    expect((await ask('read-write', '/api/v1/access/explain?tool=post')).body).toMatchObject({
      allowed: true,
    })
    const sql = '/api/v1/access/explain?tool=sql'
    expect((await ask('read-only', sql)).body).toMatchObject({ allowed: true, rule: 'level:read-only' })
    const { body } = await ask('admin', '/api/v1/admin/tokens', { json: { note: 'x', databases: ['main'] } })
    const about = `/api/v1/access/explain?tool=echo&database=other&credential_id=${String(body['id'])}`
    expect((await ask('admin', about)).body).toMatchObject({ allowed: false, rule: 'database' })
    expect((await ask('read-only', about)).status).toBe(403)
    await ask('admin', `/api/v1/admin/tokens/${String(body['id'])}`, { method: 'DELETE' })
    expect((await ask('admin', about)).body).toMatchObject({ allowed: false, rule: 'credential.revoked' })
  })

  it('searches the record in pages and verifies it', async () => {
    for (let n = 0; n < 3; n += 1) await ask('read-only', '/mcp/tools/echo', { json: {} })
    const first = await ask('admin', '/api/v1/admin/audit?tool=echo&limit=4')
    expect(first.body['entries']).toHaveLength(4)
    const rest = await ask(
      'admin',
      `/api/v1/admin/audit?tool=echo&limit=4&cursor=${String(first.body['next_cursor'])}`,
    )
    expect(rest.body).toMatchObject({ next_cursor: null })
    expect(rest.body['entries']).toHaveLength(2)
    expect((await ask('admin', '/api/v1/admin/audit/verify')).body).toMatchObject({ intact: true })
  })
})

describe('descriptions', () => {
  it.each([
    ['', '/mcp'],
    ['/mcp', '/mcp'],
    ['/mcp/v1', '/mcp/v1'],
    ['/_mcp', '/_mcp'],
    ['/sse', '/sse'],
  ])('describes the resource of %j', async (tail, resource) => {
    expect((await ask(null, `/.well-known/oauth-protected-resource${tail}`)).body).toEqual({
      resource: `https://gate.example.org${resource}`,
      resource_name: 'Postern',
      bearer_methods_supported: ['header'],
    })
  })

  it('has no metadata of other resources and no authorization server', async () => {
    expect((await ask(null, '/.well-known/oauth-protected-resource/api')).status).toBe(404)
    expect((await ask(null, '/.well-known/oauth-authorization-server')).status).toBe(404)
    expect((await ask(null, '/.well-known/oauth-authorization-server/mcp')).body).toMatchObject({
      error: 'not_found',
    })
  })

  it('describes every route in OpenAPI, with a body where it takes one and the parameters it reads', async () => {
    const { body } = await ask('read-only', '/api/v1/openapi.json')
    const paths = body['paths'] as Record<string, Record<string, Record<string, unknown>>>
    const ids = new Set<unknown>()
    for (const route of routeTable()) {
      const operation = paths[route.path]?.[route.method.toLowerCase()]
      expect([route.path, operation !== undefined]).toEqual([route.path, true])
      ids.add(operation?.['operationId'])
      expect(operation?.['requestBody'] !== undefined).toBe(route.body !== undefined)
      expect(operation?.['responses']).toHaveProperty(String(route.status))
      const named = ((operation?.['parameters'] ?? []) as { name: string; in: string }[]).filter(
        (one) => one.in === 'path',
      )
      expect(named.map(({ name }) => `{${name}}`)).toEqual(route.path.match(/\{\w+\}/g) ?? [])
    }
    expect(ids.size).toBe(routeTable().length)
    expect(Object.values(paths).flatMap(Object.keys)).toHaveLength(routeTable().length)
  })

  it('answers every route with what OpenAPI says of it', async () => {
    await ask('admin', '/api/v1/admin/tokens', { json: { note: 'a' } })
    const calls: readonly [string, string, unknown?][] = [
      ['GET', '/health'],
      ['GET', '/.well-known/oauth-protected-resource'],
      ['GET', '/mcp/tools'],
      ['POST', '/api/v1/query', { sql: 'SELECT 1' }],
      ['GET', '/api/v1/access/explain?tool=echo'],
      ['GET', '/api/v1/admin/tokens'],
      ['POST', '/api/v1/admin/tokens', { note: 'b' }],
      ['POST', '/api/v1/admin/tokens/tok_1/rotate', {}],
      ['DELETE', '/api/v1/admin/tokens/tok_2'],
      ['GET', '/api/v1/admin/audit'],
      ['GET', '/api/v1/admin/audit/verify'],
    ]
    for (const [method, path, json] of calls) {
      const answer = await ask('admin', path, { method, ...(json === undefined ? {} : { json }) })
      const route = routeTable().find((one) => one.path === notes.route && one.method === method)
      expect([path, answer.status]).toEqual([path, route?.status])
      expect(route?.reply.safeParse(answer.body).error).toBeUndefined()
    }
  })

  it('docs/http.md lists exactly the routes there are', () => {
    const text = readFileSync(new URL('../../docs/http.md', import.meta.url), 'utf8')
    const listed = [...text.matchAll(/^\| `(GET|POST|PUT|PATCH|DELETE) (\/[^`]*)` \| ([a-z-]+) \|/gm)]
    const rows = listed.map(([, method, path, access]) => `${method} ${path} ${access}`)
    const routes = routeTable().map(({ method, path, access }) => `${method} ${path} ${access}`)
    expect(rows.sort()).toEqual(routes.sort())
  })
})

function routeTable() {
  return controlRoutes(parts.parts)
}
