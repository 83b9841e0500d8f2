import { spawn } from 'node:child_process'
import { readFile, writeFile } from 'node:fs/promises'
import { connect, type TLSSocket } from 'node:tls'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ask, type Serving } from '../../support/postern.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'
import { sendRaw } from '../../support/raw-http.ts'
import { makeCertificate } from './certificate.ts'
import { configuration, openRoom, type Room, served } from './room.ts'

/** Padding at the end and `-` and `_` inside: what people paste from elsewhere. */
const TOKEN = 'O9ms9jqTfUdy-DIjvpFWeqd_yH_NEj7me0mgOnOjGdQ='
const PYTHON_MODULES = fileURLToPath(new URL('python', import.meta.url))
const TOOLS = ['query_database', 'get_schema_info', 'execute_explain', 'count_rows', 'schema_search']

let shop: TestDatabase
let room: Room
let plain: Serving
let secure: Serving

beforeAll(async () => {
  shop = await (await testPostgres()).createDatabase(undefined, { sample: true })
  room = await openRoom({
    'postern.yaml': configuration({
      auth: { tokens: { client: { value: TOKEN } } },
      databases: [served('shop', shop)],
    }),
  })
  await makeCertificate(room.dir)
  ;[plain, secure] = await Promise.all([
    room.serve('serve', '--data-dir', 'plain'),
    room.serve('serve', '--data-dir', 'secure', '--tls', '--cert', 'cert.pem', '--key', 'key.pem'),
  ])
})

afterAll(async () => {
  await room?.close()
  await shop?.drop()
})

/** A program of a client, with the address and the token of this test in it and nothing else changed. */
const here = (program: string): string =>
  program
    .replaceAll('http://localhost:8080', `http://localhost:${new URL(plain.url).port}`)
    .replaceAll('https://localhost:8080', `https://localhost:${new URL(secure.url).port}`)
    .replaceAll('YOUR_TOKEN_HERE', TOKEN)

async function run(command: string, ...args: readonly string[]): Promise<string> {
  const child = spawn(command, args, {
    cwd: room.dir,
    timeout: 25_000,
    env: {
      PATH: process.env['PATH'],
      HOME: room.dir,
      // The certificate is its own authority; each program is told in the way that its users would.
      REQUESTS_CA_BUNDLE: room.path('cert.pem'),
      NODE_EXTRA_CA_CERTS: room.path('cert.pem'),
      CURL_CA_BUNDLE: room.path('cert.pem'),
      PYTHONPATH: PYTHON_MODULES,
      PYTHONDONTWRITEBYTECODE: '1',
    },
  })
  let [stdout, stderr] = ['', '']
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const code = await new Promise<number | null>((resolve, reject) => {
    child.on('error', reject)
    child.on('close', resolve)
  })
  if (code !== 0) throw new Error(`${command} ended with ${code}: ${stderr}`)
  return stdout
}

interface RpcAnswer {
  readonly jsonrpc: string
  readonly id: number
  readonly result: Readonly<Record<string, unknown>>
}

const toolNames = (answer: RpcAnswer): readonly string[] =>
  (answer.result['tools'] as { name: string }[]).map(({ name }) => name)

describe('G11 the curl commands', () => {
  const curl = async (snippet: string): Promise<RpcAnswer> =>
    JSON.parse(await run('sh', '-c', here(snippet).replace('curl -X', 'curl -sS -X'))) as RpcAnswer

  it('G11 list the tools over http', async () => {
    const answer = await curl(`curl -X POST http://localhost:8080/mcp/v1 \\
  -H "Authorization: Bearer O9ms9jqTfUdy-DIjvpFWeqd_yH_NEj7me0mgOnOjGdQ=" \\
  -H "Content-Type: application/json" \\
  -d '{
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/list",
    "params": {}
  }'`)
    expect(answer).toMatchObject({ jsonrpc: '2.0', id: 1 })
    expect(toolNames(answer)).toEqual(expect.arrayContaining(TOOLS))
  })

  it('G11 initialize over https', async () => {
    const answer = await curl(`curl -X POST https://localhost:8080/mcp/v1 \\
  -H "Authorization: Bearer YOUR_TOKEN_HERE" \\
  -H "Content-Type: application/json" \\
  -d '{
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
      "protocolVersion": "2024-11-05",
      "capabilities": {},
      "clientInfo": {
        "name": "my-client",
        "version": "1.0.0"
      }
    }
  }'`)
    expect(answer).toMatchObject({
      id: 1,
      result: { protocolVersion: '2024-11-05', capabilities: { tools: {} }, serverInfo: { name: 'postern' } },
    })
  })

  it('G11 call query_database with a question over https', async () => {
    const answer = await curl(`curl -X POST https://localhost:8080/mcp/v1 \\
  -H "Authorization: Bearer YOUR_TOKEN_HERE" \\
  -H "Content-Type: application/json" \\
  -d '{
    "jsonrpc": "2.0",
    "id": 2,
    "method": "tools/call",
    "params": {
      "name": "query_database",
      "arguments": {
        "query": "Show me all active users"
      }
    }
  }'`)
    expect(answer.id).toBe(2)
    expect(answer.result['isError']).not.toBe(true)
    // Without a model it is answered with the tables that the question is about.
    expect(JSON.stringify(answer.result['content'])).toMatch(/users \(table[\s\S]*active boolean/)
  })
})

describe('G11 the programs, unchanged', () => {
  it('G11 Python lists the tools', async () => {
    await writeFile(
      room.path('client.py'),
      here(`import requests

token = "O9ms9jqTfUdy-DIjvpFWeqd_yH_NEj7me0mgOnOjGdQ="
url = "https://localhost:8080/mcp/v1"

headers = {
    "Authorization": f"Bearer {token}",
    "Content-Type": "application/json"
}

payload = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "tools/list",
    "params": {}
}

response = requests.post(url, json=payload, headers=headers)
print(response.json())
`),
    )
    const shown = await run('python3', 'client.py')
    expect(shown).toContain("'jsonrpc': '2.0'")
    for (const tool of TOOLS) expect(shown).toContain(`'name': '${tool}'`)
  })

  it('G11 JavaScript lists the tools', async () => {
    await writeFile(
      room.path('client.mjs'),
      here(`const token = "O9ms9jqTfUdy-DIjvpFWeqd_yH_NEj7me0mgOnOjGdQ=";
const url = "https://localhost:8080/mcp/v1";

const response = await fetch(url, {
  method: "POST",
  headers: {
    "Authorization": \`Bearer \${token}\`,
    "Content-Type": "application/json"
  },
  body: JSON.stringify({
    jsonrpc: "2.0",
    id: 1,
    method: "tools/list",
    params: {}
  })
});

const data = await response.json();
console.log(data);
`),
    )
    const shown = await run(process.execPath, 'client.mjs')
    expect(shown).toMatch(/jsonrpc: '2\.0'/)
    expect(shown).toMatch(/id: 1/)
    expect(shown).toMatch(/tools: \[/)
    expect(shown).not.toContain('error')
  })

  it('G11 Go lists the tools: the bytes of its net/http, over http and over https', async () => {
    // Recorded from the program (Go 1.26): the keys of a Go map are sorted, gzip is offered, nothing is accepted.
    const bytes = ({ url }: Serving): string =>
      [
        'POST /mcp/v1 HTTP/1.1',
        `Host: localhost:${new URL(url).port}`,
        'User-Agent: Go-http-client/1.1',
        'Content-Length: 58',
        `Authorization: Bearer ${TOKEN}`,
        'Content-Type: application/json',
        'Accept-Encoding: gzip',
        '',
        '{"id":1,"jsonrpc":"2.0","method":"tools/list","params":{}}',
      ].join('\r\n')

    const answer = await sendRaw(Number(new URL(plain.url).port), bytes(plain))
    expect(answer.status).toBe(200)
    // Go undoes gzip by itself, and nothing else.
    expect(answer.head).not.toMatch(/content-encoding: (?!gzip)/i)
    expect(answer.head).toMatch(/content-type: application\/json/i)
    expect(toolNames(JSON.parse(answer.body) as RpcAnswer)).toEqual(expect.arrayContaining(TOOLS))

    const overTls = await sendTls(secure, bytes(secure))
    expect(overTls).toMatch(/^HTTP\/1\.1 200 /)
    for (const tool of TOOLS) expect(overTls).toContain(`"name":"${tool}"`)
  })
})

/** Sends the bytes and collects the reply until its announced length is there. */
async function sendTls({ url }: Serving, bytes: string): Promise<string> {
  const ca = await readFile(room.path('cert.pem'))
  return await new Promise((resolve, reject) => {
    let reply = ''
    // What Go offers for HTTP/2 is refused silently: HTTP/1.1 is spoken.
    const socket: TLSSocket = connect(
      {
        port: Number(new URL(url).port),
        host: '127.0.0.1',
        servername: 'localhost',
        ca,
        ALPNProtocols: ['h2', 'http/1.1'],
      },
      () => socket.write(bytes),
    )
    socket.setTimeout(20_000, () => socket.destroy(new Error(`no whole reply: ${reply}`)))
    socket.on('error', reject)
    socket.on('data', (chunk: Buffer) => {
      reply += chunk.toString('latin1')
      const [head = '', body] = reply.split('\r\n\r\n', 2)
      const length = Number(/content-length: (\d+)/i.exec(head)?.[1] ?? Number.NaN)
      if (body === undefined || body.length < length) return
      socket.destroy()
      resolve(reply)
    })
  })
}

describe('G11 /mcp/v1 for clients that send neither Accept nor a session', () => {
  const post = async (
    body: unknown,
    url = plain.url,
  ): Promise<{ status: number; body: RpcAnswer; session: string | null }> => {
    const text = JSON.stringify(body)
    const {
      status,
      body: answer,
      head,
    } = await sendRaw(
      Number(new URL(url).port),
      `POST /mcp/v1 HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${TOKEN}\r\nContent-Type: application/json\r\nContent-Length: ${Buffer.byteLength(text)}\r\n\r\n${text}`,
    )
    return {
      status,
      body: JSON.parse(answer) as RpcAnswer,
      session: /mcp-session-id: (\S+)/i.exec(head)?.[1] ?? null,
    }
  }
  const initialize = (protocolVersion: string) =>
    post({
      jsonrpc: '2.0',
      id: 1,
      method: 'initialize',
      params: { protocolVersion, capabilities: {}, clientInfo: { name: 'my-client', version: '1.0.0' } },
    })

  it.each(['2024-11-05', '2025-03-26', '2025-06-18', '2025-11-25'])(
    'G11 initialize %s is answered in that revision; tools/list and tools/call need nothing from it',
    async (version) => {
      const { status, body } = await initialize(version)
      expect(status).toBe(200)
      expect(body.result).toMatchObject({ protocolVersion: version, capabilities: { tools: {} } })
      const listed = await post({ jsonrpc: '2.0', id: 'two', method: 'tools/list', params: {} })
      expect(listed).toMatchObject({ status: 200, body: { id: 'two' } })
      expect(toolNames(listed.body)).toEqual(expect.arrayContaining(TOOLS))
      const called = await post({
        jsonrpc: '2.0',
        id: 3,
        method: 'tools/call',
        params: { name: 'query_database', arguments: { query: 'SELECT 6 * 7 AS answer' } },
      })
      expect(called.body.result['content']).toMatchObject([
        { type: 'text', text: expect.stringContaining('42') as string },
      ])
    },
  )

  it('G11 the newest revision has no initialize: asked for it, the server names the newest that has; its own way works', async () => {
    expect((await initialize('2026-07-28')).body.result['protocolVersion']).toBe('2025-11-25')
    const stateless = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'my-client', version: '1.0.0' },
      'io.modelcontextprotocol/clientCapabilities': {},
    }
    const listed = await ask(`${plain.url}/mcp/v1`, TOKEN, {
      json: { jsonrpc: '2.0', id: 1, method: 'tools/list', params: { _meta: stateless } },
      headers: {
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': 'tools/list',
      },
    })
    expect(listed.status).toBe(200)
    expect(toolNames(listed.body as RpcAnswer)).toEqual(expect.arrayContaining(TOOLS))
  })

  it('G11 a session that initialize offers may be used, or not', async () => {
    const { session } = await initialize('2025-11-25')
    expect(session).toBeTruthy()
    const with_ = await ask(`${plain.url}/mcp/v1`, TOKEN, {
      json: { jsonrpc: '2.0', id: 1, method: 'tools/list' },
      headers: { 'mcp-session-id': session ?? '', accept: 'application/json, text/event-stream' },
    })
    expect(with_.status).toBe(200)
  })

  it('G11 the same endpoint with a trailing slash and under its other names', async () => {
    for (const path of ['/mcp/v1/', '/mcp', '/mcp/', '/_mcp']) {
      const { status } = await ask(`${plain.url}${path}`, TOKEN, {
        json: { jsonrpc: '2.0', id: 1, method: 'tools/list', params: {} },
      })
      expect([path, status]).toEqual([path, 200])
    }
  })

  it.each([
    ['no token', null],
    ['a wrong one', 'O9ms9jqTfUdy-DIjvpFWeqd_yH_NEj7me0mgOnOjGdQ'],
  ])('G11 with %s every method is refused with 401 and a challenge', async (_, token) => {
    for (const method of ['initialize', 'tools/list', 'tools/call', 'ping']) {
      const { status, headers } = await ask(`${plain.url}/mcp/v1`, token, {
        json: { jsonrpc: '2.0', id: 1, method, params: {} },
      })
      expect(status).toBe(401)
      expect(headers.get('www-authenticate')).toMatch(/^Bearer .*resource_metadata=/)
    }
  })
})
