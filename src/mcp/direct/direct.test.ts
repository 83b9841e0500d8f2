import { request as httpRequest, type IncomingMessage, type ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, it } from 'vitest'
import { manualClock } from '../../../test/support/clock.ts'
import {
  directHarness,
  type DirectHarness,
  type DirectHarnessOptions,
} from '../../../test/support/direct-harness.ts'
import { EventReader } from '../../../test/support/mcp-harness.ts'
import { sendRaw } from '../../../test/support/raw-http.ts'
import {
  json,
  result,
  sessionServer,
  type SessionServer,
  TOOLS,
} from '../../../test/support/session-server.ts'
import { soon } from '../../../test/support/soon.ts'

type Call = Parameters<typeof sessionServer>[0]

const opened: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const close of opened.splice(0).toReversed()) await close()
})

async function start(
  call: Call,
  options: Partial<DirectHarnessOptions> = {},
): Promise<{ gateway: DirectHarness; behind: SessionServer; client: Client }> {
  const behind = await sessionServer(call)
  opened.push(() => behind.close())
  const gateway = await directHarness({ upstream: `${behind.origin}/mcp`, ...options })
  opened.push(() => gateway.close())
  return { gateway, behind, client: new Client(gateway) }
}

const ACCEPT = 'application/json, text/event-stream'

class Client {
  readonly #gateway: DirectHarness
  readonly #name: string
  session = ''

  constructor(gateway: DirectHarness, name = 'reader') {
    this.#gateway = gateway
    this.#name = name
  }

  headers(more: Record<string, string> = {}): Record<string, string> {
    return {
      authorization: `Bearer token-${this.#name}`,
      accept: ACCEPT,
      ...(this.session === '' ? {} : { 'mcp-session-id': this.session }),
      ...more,
    }
  }

  async send(
    method: string,
    body?: unknown,
    more: Record<string, string> = {},
    signal?: AbortSignal,
  ): Promise<Response> {
    return await fetch(`${this.#gateway.url}/behind/mcp`, {
      method,
      headers: {
        ...this.headers(more),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      ...(signal ? { signal } : {}),
    })
  }

  async open(version = '2025-11-25'): Promise<Reply> {
    const params = { protocolVersion: version, capabilities: {}, clientInfo: { name: 't', version: '1' } }
    const response = await this.send('POST', { jsonrpc: '2.0', id: 0, method: 'initialize', params })
    this.session = response.headers.get('mcp-session-id') ?? ''
    return (await response.json()) as Reply
  }

  async call(method: string, params: unknown = {}, id: number | string = 1): Promise<Response> {
    return await this.send('POST', { jsonrpc: '2.0', id, method, params })
  }
}

interface Reply {
  readonly id?: unknown
  readonly result?: Record<string, unknown>
  readonly error?: { readonly code: number; readonly message: string; readonly data?: { code?: string } }
}

const replyOf = async (response: Response): Promise<Reply> => (await response.json()) as Reply

const echo: Call = (asked, response) => {
  if (asked.method === 'tools/list') json(response, result(asked.id, { tools: TOOLS }))
  else json(response, result(asked.id, { content: [], asked: asked.params }))
}

const ECHO = { name: 'echo', arguments: { text: 'hello' } }

describe('messages of session clients that pass as they are', () => {
  it('open a session of the server for each session of ours, and forward what was judged', async () => {
    const { client, behind, gateway } = await start(echo)
    const hello = await client.open()
    expect(hello.result).toMatchObject({ protocolVersion: '2025-11-25', serverInfo: { name: 'behind' } })
    expect(client.session).toMatch(/^s1\./)
    expect(behind.open.size).toBe(1)
    expect(client.session).not.toContain([...behind.open][0])
    const answer = await client.call('tools/call', ECHO, 'one')
    expect(answer.status).toBe(200)
    expect(await replyOf(answer)).toEqual({
      jsonrpc: '2.0',
      id: 'one',
      result: { content: [], asked: ECHO },
    })
    expect(gateway.admitted.map(({ method }) => method)).toEqual(['initialize', 'tools/call'])
    expect(gateway.settled).toEqual([{ outcome: 'done' }, { outcome: 'done' }])
    const received = behind.received.at(-1)
    expect(received?.headers['mcp-session-id']).toBe([...behind.open][0])
    expect(received?.headers['mcp-protocol-version']).toBe('2025-11-25')
  })

  it('F11 never carry the credential of the client, nor any header that is not of the protocol', async () => {
    const { client, behind } = await start(echo)
    await client.open()
    await client.send(
      'POST',
      { jsonrpc: '2.0', id: 1, method: 'tools/call', params: ECHO },
      {
        cookie: 'a=b',
        'x-forwarded-for': '10.0.0.1',
        'proxy-authorization': 'Basic abc',
      },
    )
    for (const { headers, body } of behind.received) {
      expect(headers.authorization).toBe('Bearer the-servers-own')
      expect(JSON.stringify({ headers, body })).not.toContain('token-reader')
      for (const name of ['cookie', 'x-forwarded-for', 'proxy-authorization', 'x-request-id']) {
        expect(headers[name]).toBeUndefined()
      }
    }
  })

  it('drop members that no revision has: another reader might take them for those that were judged', async () => {
    const { client, behind } = await start(echo)
    await client.open()
    const body = '{"jsonrpc":"2.0","id":1,"method":"ping","Method":"tools/call","params":{},"extra":1}'
    expect((await client.send('POST', body)).status).toBe(200)
    expect(JSON.parse(behind.received.at(-1)?.body ?? '')).toEqual({
      jsonrpc: '2.0',
      id: 1,
      method: 'ping',
      params: {},
    })
  })

  it.each([
    ['a key twice', '{"jsonrpc":"2.0","id":1,"method":"ping","method":"tools/call"}', 400],
    [
      'a key twice below',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","name":"secret"}}',
      400,
    ],
    [
      'a key twice, one of them escaped',
      '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"echo","n\\u0061me":"secret"}}',
      400,
    ],
    ['no JSON', '{"jsonrpc":"2.0",', 400],
    ['a batch', '[{"jsonrpc":"2.0","id":1,"method":"ping"}]', 400],
    ['another version of JSON-RPC', '{"jsonrpc":"1.0","id":1,"method":"ping"}', 400],
  ])('are refused with %s', async (_, body, status) => {
    const { client, behind } = await start(echo)
    await client.open()
    const before = behind.received.length
    expect((await client.send('POST', body)).status).toBe(status)
    expect(behind.received.length).toBe(before)
  })

  it('are refused with a key that is a judged one but for its case', async () => {
    const { client, behind, gateway } = await start(echo, { hidden: ['secret'] })
    await client.open()
    const before = behind.received.length
    for (const key of ['Name', 'NAME', 'nAme', 'Arguments', 'argumentſ']) {
      const reply = await replyOf(await client.call('tools/call', { ...ECHO, [key]: 'secret' }))
      expect(reply.error?.code).toBe(-32_602)
    }
    expect(behind.received.length).toBe(before)
    expect(gateway.settled).toHaveLength(1)
  })

  it('are refused with a header twice, whatever its case', async () => {
    const { client, gateway } = await start(echo)
    await client.open()
    const text = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' })
    const head = [
      'POST /behind/mcp HTTP/1.1',
      `host: 127.0.0.1:${gateway.port}`,
      'authorization: Bearer token-reader',
      'Authorization: Bearer token-other',
      'content-type: application/json',
      `content-length: ${text.length}`,
    ]
    expect((await sendRaw(gateway.port, `${head.join('\r\n')}\r\n\r\n${text}`)).status).toBe(401)
  })

  it('have methods from a list: tasks and whatever else there may be is unknown', async () => {
    const { client, behind } = await start(echo)
    const hello = await client.open()
    expect(hello.result?.['capabilities']).toEqual({ tools: { listChanged: true } })
    const before = behind.received.length
    for (const method of [
      'tasks/list',
      'tasks/result',
      'server/discover',
      'x/y',
      '__proto__',
      'constructor',
    ]) {
      expect((await replyOf(await client.call(method))).error?.code).toBe(-32_601)
    }
    const unheard = await client.send('POST', { jsonrpc: '2.0', method: 'notifications/x' })
    expect(unheard.status).toBe(202)
    expect(behind.received.length).toBe(before)
    await client.call('tools/call', { ...ECHO, task: { ttl: 1 } })
    expect(JSON.parse(behind.received.at(-1)?.body ?? '')).toMatchObject({ params: ECHO })
    expect(behind.received.at(-1)?.body).not.toContain('task')
  })

  it('F6 list only tools that may be called, and refuse the call of another', async () => {
    const { client, behind } = await start(echo, { hidden: ['secret'] })
    await client.open()
    const list = await replyOf(await client.call('tools/list'))
    expect(list.result?.['tools']).toEqual([TOOLS[0]])
    const before = behind.received.length
    const refused = await replyOf(await client.call('tools/call', { name: 'secret' }))
    expect(refused.result).toMatchObject({ isError: true })
    expect(JSON.stringify(refused)).toContain('toolFilter')
    expect(behind.received.length).toBe(before)
  })

  it('F6 list only those in an event stream, too, also when it is resumed', async () => {
    const text = (id: unknown): string =>
      `: hello\n\nid: 1\nevent: message\ndata: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":"tools"}}\n\n` +
      `id: 2\ndata: ${JSON.stringify(result(id as number, { tools: TOOLS, nextCursor: 'n' }))}\n\n`
    const { client, behind } = await start(
      (asked, response) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        // One byte at a time: events do not come in pieces of their own.
        for (const byte of text(asked.id)) response.write(byte)
        response.end()
      },
      { hidden: ['secret'] },
    )
    await client.open()
    const listed = await (await client.call('tools/list', {}, 7)).text()
    expect(listed).not.toContain('secret')
    expect(listed).toContain('"data":"tools"')
    expect(listed).toContain('id: 2\n')
    expect(listed).toContain(JSON.stringify(result(7, { tools: [TOOLS[0]], nextCursor: 'n' })))
    const stream = await client.send('GET', undefined, { 'last-event-id': 'event 1' })
    await soon(() => behind.streams.length).toBe(1)
    expect(behind.received.at(-1)?.headers['last-event-id']).toBe('event 1')
    behind.streams[0]?.write(text(7))
    const events = new EventReader(stream)
    expect(await events.json()).toMatchObject({ method: 'notifications/message' })
    expect((await events.json()).result?.['tools']).toEqual([TOOLS[0]])
    await events.cancel()
    await soon(() => behind.streams.length).toBe(0)
  })

  it('carry notifications, responses and requests of the server', async () => {
    const { client, behind } = await start(echo)
    await client.open()
    const stream = new EventReader(await client.send('GET'))
    await soon(() => behind.streams.length).toBe(1)
    behind.streams[0]?.write('data: {"jsonrpc":"2.0","id":"s1","method":"roots/list"}\n\n')
    expect(await stream.json()).toMatchObject({ id: 's1', method: 'roots/list' })
    const answer = { jsonrpc: '2.0', id: 's1', result: { roots: [] } }
    expect((await client.send('POST', answer)).status).toBe(202)
    expect(JSON.parse(behind.received.at(-1)?.body ?? '')).toEqual(answer)
    const initialized = { jsonrpc: '2.0', method: 'notifications/initialized' }
    expect((await client.send('POST', initialized)).status).toBe(202)
    expect(JSON.parse(behind.received.at(-1)?.body ?? '')).toMatchObject(initialized)
    await stream.cancel()
  })

  it('belong to the credential that opened the session: to another it does not exist', async () => {
    const { client, gateway, behind } = await start(echo)
    await client.open()
    const thief = new Client(gateway, 'thief')
    thief.session = client.session
    const before = behind.received.length
    for (const response of [await thief.call('ping'), await thief.send('GET'), await thief.send('DELETE')]) {
      expect(response.status).toBe(404)
      expect((await replyOf(response)).error?.data?.code).toBe('session_unknown')
    }
    expect(behind.received.length).toBe(before)
    expect((await client.call('ping')).status).toBe(200)
  })

  it('end the session of the server with ours', async () => {
    const { client, behind } = await start(echo)
    await client.open()
    expect((await client.send('DELETE')).status).toBe(204)
    await soon(() => behind.open.size).toBe(0)
    expect((await client.call('ping')).status).toBe(404)
  })

  it('end the session of the server when nobody used it for long', async () => {
    const clock = manualClock()
    const { client, behind, gateway } = await start(echo, { clock, sessionIdleMs: 60_000, timeoutMs: 1e9 })
    await client.open()
    expect(gateway.sessions.size).toBe(1)
    clock.advance(120_000)
    await soon(() => behind.open.size).toBe(0)
    expect(gateway.sessions.size).toBe(0)
    expect((await client.call('ping')).status).toBe(404)
  })

  it('are told that the session is unknown when the server forgot it', async () => {
    const { client, behind, gateway } = await start(echo)
    await client.open()
    ;(behind.open as Set<string>).clear()
    const answer = await client.call('ping')
    expect(answer.status).toBe(404)
    expect((await replyOf(answer)).error?.data?.code).toBe('session_unknown')
    expect(gateway.sessions.size).toBe(0)
  })

  it('are left to the translation for revisions with batches and for clients that do not take both forms', async () => {
    const { client } = await start(echo)
    expect((await client.open('2025-03-26')).error?.message).toBe('this needs translating')
    expect((await client.open('2099-01-01')).error?.message).toBe('this needs translating')
    expect((await client.open('2025-06-18')).result).toMatchObject({ protocolVersion: '2025-06-18' })
    client.session = ''
    const params = { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: {} }
    const body = { jsonrpc: '2.0', id: 0, method: 'initialize', params }
    const answer = await client.send('POST', body, { accept: 'application/json' })
    expect(answer.status).toBe(501)
  })
})

describe('sealed sessions', () => {
  it('are carried on by a replica with the same key, and by no other', async () => {
    const sealKey = Buffer.alloc(32, 7)
    const { client, behind } = await start(echo, { sealKey })
    await client.open()
    const replicas = await Promise.all(
      [sealKey, Buffer.alloc(32, 8), undefined].map(async (key) => {
        const other = await directHarness({
          upstream: `${behind.origin}/mcp`,
          ...(key ? { sealKey: key } : {}),
        })
        opened.push(() => other.close())
        return other
      }),
    )
    const statuses: number[] = []
    for (const replica of replicas) {
      const carried = new Client(replica)
      carried.session = client.session
      statuses.push((await carried.call('ping')).status)
      const thief = new Client(replica, 'thief')
      thief.session = client.session
      expect((await thief.call('ping')).status).toBe(404)
    }
    expect(statuses).toEqual([200, 404, 404])
  })

  it('do not come back once they were ended', async () => {
    const { client, behind } = await start(echo, { sealKey: Buffer.alloc(32, 7) })
    await client.open()
    const [id] = behind.open
    await client.send('DELETE')
    await soon(() => behind.open.size).toBe(0)
    // A server that does not end sessions would take the id again.
    ;(behind.open as Set<string>).add(id ?? '')
    expect((await client.call('ping')).status).toBe(404)
  })
})

const PIECE = Buffer.alloc(65_536, 'x')

/** An answer of many pieces, as fast as they are taken. */
function flood(
  response: Parameters<Call>[1],
  id: unknown,
  pieces: number,
  wrote: (total: number) => void,
): void {
  response.writeHead(200, { 'content-type': 'application/json' })
  response.write(`{"jsonrpc":"2.0","id":${JSON.stringify(id)},"result":{"content":[{"type":"text","text":"`)
  let left = pieces
  const more = (): void => {
    while (left > 0) {
      left -= 1
      wrote((pieces - left) * PIECE.length)
      if (!response.write(PIECE)) {
        response.once('drain', more)
        return
      }
    }
    response.end('"}]}}')
  }
  more()
}

describe('answers that stream through', () => {
  it('hold little of 100 MB at any time', async () => {
    const pieces = 1_600
    let wrote = 0
    let read = 0
    let most = 0
    const { client } = await start((asked, response) =>
      flood(response, asked.id, pieces, (total) => {
        wrote = total
        most = Math.max(most, wrote - read)
      }),
    )
    await client.open()
    const answer = await client.call('tools/call', ECHO)
    for await (const chunk of answer.body as unknown as AsyncIterable<Uint8Array>) read += chunk.length
    expect(read).toBeGreaterThan(pieces * PIECE.length)
    // On the way between server and client, in sockets and in the gateway together.
    expect(most).toBeLessThan(30_000_000)
  })

  it.each([
    ['as JSON', json],
    [
      'as an event',
      (response: ServerResponse, message: unknown) => {
        response.writeHead(200, { 'content-type': 'text/event-stream' })
        response.end(`data: ${JSON.stringify(message)}\n\n`)
      },
    ],
  ])('F10 answer a list that cannot be filtered with an error: %s', async (_, answer) => {
    // Reading this name throws: of an object without a way to be text, `String` makes none.
    const tools = [{ name: { toString: 1, valueOf: 1 } }]
    const { client, gateway } = await start((asked, response) => {
      answer(response, result(asked.id, { tools }))
    })
    await client.open()
    const text = await (await client.call('tools/list')).text()
    expect(text).toContain('upstream_invalid')
    expect(text).not.toContain('valueOf')
    expect(gateway.settled.at(-1)).toEqual({ outcome: 'failed', rule: 'upstream_invalid' })
    expect((await client.call('ping')).status).toBe(200)
  })

  it('F10 hold the server back when their client reads slowly', async () => {
    let wrote = 0
    const { client, gateway } = await start((asked, response) =>
      flood(response, asked.id, 1_600, (total) => {
        wrote = total
      }),
    )
    await client.open()
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/call', params: ECHO })
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      const headers = { ...client.headers(), 'content-type': 'application/json' }
      const url = `${gateway.url}/behind/mcp`
      httpRequest(url, { method: 'POST', headers }, resolve).on('error', reject).end(body)
    })
    response.pause()
    // For so long that a busy machine is no reason: the server writes whenever it may.
    const stoodStill = async (): Promise<boolean> => {
      const before = wrote
      await sleep(500)
      return before > 0 && wrote === before
    }
    await expect.poll(stoodStill, { timeout: 20_000, interval: 1 }).toBe(true)
    // What sockets hold on the way, and far from all of it.
    expect(wrote).toBeLessThan(40_000_000)
    response.destroy()
    await soon(() => gateway.settled.at(-1)).toEqual({ outcome: 'failed', rule: 'request.aborted' })
  }, 30_000)

  it('are cut on both sides at once when the credential ends', async () => {
    let cut = 0
    const { client, gateway, behind } = await start((asked, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const timer = setInterval(() => response.write(`data: {"n":"${String(asked.id)}"}\n\n`), 5)
      response.on('close', () => {
        cut = performance.now()
        clearInterval(timer)
      })
    })
    await client.open()
    const answer = await client.call('tools/call', ECHO)
    const events = new EventReader(answer)
    await events.next()
    const stream = new EventReader(await client.send('GET'))
    await soon(() => behind.streams.length).toBe(1)
    const revokedAt = performance.now()
    gateway.revoke('reader')
    await expect(
      (async () => {
        while (await events.next());
        throw new Error('ended')
      })(),
    ).rejects.toThrow()
    expect(performance.now() - revokedAt).toBeLessThan(1_000)
    await soon(() => cut).toBeGreaterThan(0)
    expect(cut - revokedAt).toBeLessThan(1_000)
    await expect(stream.next()).rejects.toThrow()
    await soon(() => behind.streams.length).toBe(0)
    await soon(() => behind.open.size).toBe(0)
    expect(gateway.settled.at(-1)).toEqual({ outcome: 'failed', rule: 'credential.revoked' })
    expect((await client.call('ping')).status).toBe(401)
  })

  it('are answered with 401 when the credential ends before they begin', async () => {
    const { client, gateway, behind } = await start(() => undefined)
    await client.open()
    const answer = client.call('tools/call', ECHO)
    await soon(() => behind.received.length).toBe(2)
    gateway.revoke('reader')
    expect((await answer).status).toBe(401)
    await soon(() => behind.open.size).toBe(0)
  })

  it('F10 break off, rather than end, when the server dies in the middle', async () => {
    const { client, behind, gateway } = await start((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      response.write(`{"jsonrpc":"2.0","id":1,"result":{"text":"${'x'.repeat(100_000)}`)
    })
    await client.open()
    const answer = await client.call('tools/call', ECHO)
    const text = answer.text()
    await behind.drop()
    await expect(text).rejects.toThrow()
    expect(gateway.settled.at(-1)).toEqual({ outcome: 'failed', rule: 'upstream_unavailable' })
  })

  it('F10 end with an error that the client can read when an event stream dies', async () => {
    const { client, behind } = await start((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: {"jsonrpc":"2.0","method":"notifications/progress","params":{}}\n\n')
    })
    await client.open()
    const events = new EventReader(await client.call('tools/call', ECHO, 9))
    expect(await events.json()).toMatchObject({ method: 'notifications/progress' })
    await behind.drop()
    expect(await events.json()).toMatchObject({ id: 9, error: { data: { code: 'upstream_unavailable' } } })
    expect(await events.next()).toBeUndefined()
  })

  it.each<[string, Call, number, string]>([
    [
      'broken JSON',
      (_, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('{"a":'),
      502,
      'upstream_invalid',
    ],
    [
      'JSON that is no object',
      (_, response) => response.writeHead(200, { 'content-type': 'application/json' }).end('[1]'),
      502,
      'upstream_invalid',
    ],
    [
      'text that is not UTF-8',
      (_, response) =>
        response
          .writeHead(200, { 'content-type': 'application/json' })
          .end(Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])),
      502,
      'upstream_invalid',
    ],
    [
      'another content type',
      (_, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>'),
      502,
      'upstream_invalid',
    ],
    ['no content', (_, response) => response.writeHead(202).end(), 502, 'upstream_invalid'],
    ['a failure', (_, response) => response.writeHead(500).end('oops'), 502, 'upstream_invalid'],
    ['that it is overloaded', (_, response) => response.writeHead(503).end(), 503, 'upstream_unavailable'],
    [
      'a refusal of our credential',
      (_, response) => response.writeHead(401).end(),
      503,
      'upstream_unavailable',
    ],
    ['nothing at all', (_, response) => response.destroy(), 503, 'upstream_unavailable'],
  ])('F10 are a clear error when the server sends %s', async (_, call, status, code) => {
    const { client, gateway } = await start(call)
    await client.open()
    const answer = await client.call('tools/call', ECHO, 3)
    expect(answer.status).toBe(status)
    const reply = await replyOf(answer)
    expect(reply).toMatchObject({ id: 3, error: { data: { code } } })
    expect(JSON.stringify(reply)).not.toContain('oops')
    expect(gateway.settled.at(-1)).toEqual({ outcome: 'failed', rule: code })
  })

  it('F10 are given up when the server takes too long', async () => {
    const clock = manualClock()
    const { client, behind } = await start(() => undefined, { clock, timeoutMs: 5_000 })
    await client.open()
    const answer = client.call('tools/call', ECHO)
    await soon(() => behind.received.length).toBe(2)
    clock.advance(6_000)
    expect((await answer).status).toBe(504)
  })
})

const META = {
  'io.modelcontextprotocol/protocolVersion': '2026-07-28',
  'io.modelcontextprotocol/clientInfo': { name: 't', version: '1' },
  'io.modelcontextprotocol/clientCapabilities': {},
}

const statelessCall = (
  client: Client,
  method: string,
  params: Record<string, unknown> = {},
  headers: Record<string, string> = {},
): Promise<Response> =>
  client.send(
    'POST',
    { jsonrpc: '2.0', id: 1, method, params: { ...params, _meta: META } },
    {
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': method,
      ...(typeof params['name'] === 'string' ? { 'mcp-name': params['name'] } : {}),
      ...headers,
    },
  )

describe('messages of stateless clients that pass as they are', () => {
  it('carry headers made from the body', async () => {
    const { client, behind } = await start(echo)
    const args = { region: 'Zürich', count: 42, deep: { flag: true } }
    const answer = await statelessCall(
      client,
      'tools/call',
      { name: 'echo', arguments: args },
      {
        'mcp-param-region': '=?base64?WsO8cmljaA==?=',
        'mcp-param-count': '42.0',
        'mcp-param-flag': 'true',
      },
    )
    expect(answer.status).toBe(200)
    const received = behind.received.at(-1)
    expect(received?.headers).toMatchObject({
      'mcp-protocol-version': '2026-07-28',
      'mcp-method': 'tools/call',
      'mcp-name': 'echo',
      'mcp-param-region': '=?base64?WsO8cmljaA==?=',
      'mcp-param-count': '42',
      'mcp-param-flag': 'true',
    })
    expect(received?.headers['mcp-session-id']).toBeUndefined()
    expect(received?.headers.authorization).toBe('Bearer the-servers-own')
  })

  it.each([
    ['a name of another tool', { 'mcp-name': 'other' }, -32_020],
    ['another method', { 'mcp-method': 'tools/list' }, -32_020],
    ['a mirrored argument that is none', { 'mcp-param-region': 'Bern' }, -32_020],
    ['another version', { 'mcp-protocol-version': '2025-11-25' }, -32_020],
  ])('are refused with %s in the headers', async (_, headers, code) => {
    const { client, behind } = await start(echo)
    const args = { region: 'Zürich' }
    const answer = await statelessCall(client, 'tools/call', { name: 'echo', arguments: args }, headers)
    expect(answer.status).toBe(400)
    expect((await replyOf(answer)).error?.code).toBe(code)
    expect(behind.received).toHaveLength(0)
  })

  it('F6 list only tools that may be called, for this caller alone', async () => {
    const { client } = await start(
      (asked, response) =>
        json(
          response,
          result(asked.id, { resultType: 'complete', tools: TOOLS, ttlMs: 5, cacheScope: 'public' }),
        ),
      { hidden: ['secret'] },
    )
    const list = await replyOf(await statelessCall(client, 'tools/list'))
    expect(list.result).toEqual({
      resultType: 'complete',
      tools: [TOOLS[0]],
      ttlMs: 5,
      cacheScope: 'private',
    })
  })

  it('hear of every revision that is spoken here, and of no method that does not pass', async () => {
    const { client } = await start((asked, response) =>
      json(response, result(asked.id, { supportedVersions: ['2026-07-28'], capabilities: {} })),
    )
    const about = await replyOf(await statelessCall(client, 'server/discover'))
    expect(about.result?.['supportedVersions']).toContain('2024-11-05')
    const unknown = await statelessCall(client, 'tasks/get')
    expect(unknown.status).toBe(404)
    expect((await replyOf(unknown)).error?.code).toBe(-32_601)
  })

  it('pass results that ask for input, and what they are answered with', async () => {
    const asks = { resultType: 'input_required', inputRequests: { a: {} }, requestState: 'opaque' }
    const { client, behind } = await start((asked, response) => json(response, result(asked.id, asks)))
    const answer = await replyOf(await statelessCall(client, 'tools/call', ECHO))
    expect(answer.result).toEqual(asks)
    const again = { ...ECHO, inputResponses: { a: { action: 'accept' } }, requestState: 'opaque' }
    await statelessCall(client, 'tools/call', again)
    expect(JSON.parse(behind.received.at(-1)?.body ?? '')).toMatchObject({ params: again })
  })

  it('listen to changes until the credential ends', async () => {
    let cut = false
    const { client, gateway } = await start((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: {"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged"}\n\n')
      response.on('close', () => {
        cut = true
      })
    })
    const answer = await statelessCall(client, 'subscriptions/listen', { notifications: {} })
    const events = new EventReader(answer)
    expect(await events.json()).toMatchObject({ method: 'notifications/subscriptions/acknowledged' })
    expect(gateway.direct.streams).toBe(1)
    gateway.revoke('reader')
    await expect(events.next()).rejects.toThrow()
    await soon(() => cut).toBe(true)
    expect(gateway.direct.streams).toBe(0)
  })
})
