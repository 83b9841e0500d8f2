/**
 * A server that nests JSON deeper than a program can walk: over stdio in what it says by itself, over HTTP (with
 * `--http`, its address on the first line) in its answers. Its tool `deep` says it in the message named `in`.
 */
import { createServer } from 'node:http'
import { createInterface } from 'node:readline'

type Json = Readonly<Record<string, unknown>>

const DEPTH = 100_000
const NESTED = `${'{"a":'.repeat(DEPTH)}1${'}'.repeat(DEPTH)}`

interface Request {
  readonly id?: unknown
  readonly method?: string
  readonly params?: Json
}

const tool = { name: 'deep', inputSchema: { type: 'object' } }

function resultOf({ method = '', params }: Request): string {
  switch (method) {
    case 'initialize':
      return JSON.stringify({
        protocolVersion: params?.['protocolVersion'],
        capabilities: { tools: { listChanged: true }, logging: {} },
        serverInfo: { name: 'deep', version: '1' },
      })
    case 'tools/list':
      return process.argv.includes('--http')
        ? `{"tools":[${JSON.stringify(tool)}],"_meta":${NESTED}}`
        : JSON.stringify({ tools: [tool] })
    default:
      return '{"content":[{"type":"text","text":"done"}]}'
  }
}

const answer = (request: Request): string =>
  `{"jsonrpc":"2.0","id":${JSON.stringify(request.id)},"result":${resultOf(request)}}`

function said(where: unknown, progressToken: unknown): string {
  switch (where) {
    case 'progress':
      return `"method":"notifications/progress","params":{"progressToken":${JSON.stringify(progressToken)},"progress":1,"more":${NESTED}}`
    case 'log':
      return `"method":"notifications/message","params":{"level":"error","data":${NESTED}}`
    case 'change':
      return `"method":"notifications/tools/list_changed","params":{"_meta":${NESTED}}`
    default:
      return `"id":"q","method":"elicitation/create","params":{"message":"?","requestedSchema":${NESTED}}`
  }
}

if (process.argv.includes('--http')) {
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString()
    })
    request.on('end', () => {
      const message = (request.method === 'POST' ? JSON.parse(body) : {}) as Request
      if (message.id === undefined) response.writeHead(request.method === 'POST' ? 202 : 405).end()
      else response.writeHead(200, { 'content-type': 'application/json' }).end(answer(message))
    })
  })
  server.listen(0, '127.0.0.1', () => {
    const address = server.address()
    process.stdout.write(`${String(typeof address === 'object' ? address?.port : address)}\n`)
  })
} else {
  createInterface({ input: process.stdin }).on('line', (line) => {
    const request = JSON.parse(line) as Request
    if (request.id === undefined || request.method === undefined) return
    const { arguments: args, _meta: meta } = request.params ?? {}
    if (request.method === 'tools/call') {
      const where = (args as Json | undefined)?.['in']
      process.stdout.write(
        `{"jsonrpc":"2.0",${said(where, (meta as Json | undefined)?.['progressToken'])}}\n`,
      )
    }
    process.stdout.write(`${answer(request)}\n`)
  })
}
