/**
 * An MCP server over stdio that does on command what servers should not. It is written without an SDK, because
 * an SDK would not let it. Arguments: `--revision R`, `--silent` (answers nothing), `--mute-discover`,
 * `--exit-on-discover`, `--ignore-eof`, `--ignore-term`, `--refuse` (an error for `initialize`), `--exit`,
 * `--tools N` (so many more in its list).
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

type Json = Record<string, unknown>

const flags = new Set(process.argv.slice(2))
const argument = (name: string): string | undefined => process.argv[process.argv.indexOf(name) + 1]
const revision = flags.has('--revision') ? argument('--revision') : '2025-11-25'

const write = (text: string): void => {
  process.stdout.write(text)
}
const send = (message: Json): void => {
  write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
}
const reply = (id: unknown, text: string): void => {
  send({ id, result: { content: [{ type: 'text', text }] } })
}

if (flags.has('--exit')) process.exit(3)
if (flags.has('--ignore-term')) process.on('SIGTERM', () => undefined)
if (flags.has('--ignore-eof')) setInterval(() => undefined, 1_000)

const waiting = new Map<number, (message: Json) => void>()
const cancelled: unknown[] = []
const calls: string[] = []
let asked = 0
const ask = (method: string, params: Json): Promise<Json> => {
  const id = (asked += 1)
  send({ id, method, params })
  return new Promise((resolve) => waiting.set(id, resolve))
}
const notify = (method: string, params: Json = {}): void => {
  send({ method, params })
}

const tools: Record<string, (id: unknown, args: Json, meta: Json) => void> = {
  echo: (id, args) => reply(id, JSON.stringify(args)),
  pid: (id) => reply(id, String(process.pid)),
  environment: (id) => reply(id, JSON.stringify(process.env)),
  calls: (id) => reply(id, JSON.stringify(calls)),
  cancelled: (id) => reply(id, JSON.stringify(cancelled)),
  meta: (id, _, meta) => reply(id, JSON.stringify(meta)),
  crash: () => process.exit(7),
  hang: () => undefined,
  slow: (id, args) => setTimeout(() => reply(id, 'slow'), Number(args['ms'])),
  garbage: (id, args) => {
    for (let n = 0; n < Number(args['lines']); n += 1) write(`this is no message ${n}\n`)
    reply(id, 'after garbage')
  },
  half: () => process.stdout.write('{"jsonrpc":"2.0","id":', () => process.exit(0)),
  broken: (id) => write(`{"jsonrpc":"2.0","id":${String(id)},"result":"no object"}\n`),
  batch: (id) =>
    write(
      `[${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/tools/list_changed' })},${JSON.stringify({ jsonrpc: '2.0', id, result: { content: [] } })}]\n`,
    ),
  big: (id, args) => reply(id, 'x'.repeat(Number(args['bytes']))),
  endless: () => {
    const chunk = 'x'.repeat(65_536)
    const more = (): void => {
      while (process.stdout.write(chunk));
      process.stdout.once('drain', more)
    }
    more()
  },
  flood: (id, args) => {
    let left = Number(args['count'])
    const line = `${JSON.stringify({ jsonrpc: '2.0', method: 'notifications/tools/list_changed', params: { pad: 'z'.repeat(Number(args['bytes'] ?? 0)) } })}\n`
    const more = (): void => {
      for (; left > 0; left -= 1)
        if (!process.stdout.write(line)) {
          left -= 1
          process.stdout.once('drain', more)
          return
        }
      reply(id, 'flooded')
    }
    more()
  },
  stderr: (id, args) => {
    for (let n = 0; n < Number(args['lines']); n += 1)
      process.stderr.write(`line ${n} ${'y'.repeat(Number(args['length'] ?? 0))}\n`)
    reply(id, 'written')
  },
  // Prints what it was given where it does not belong.
  blab: (id) => {
    process.stderr.write(`refused with ${process.env['API_KEY']}\n`)
    write(`refused with ${process.env['API_KEY']}\n`)
    reply(id, 'said')
  },
  child: (id, args) => {
    const child = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], {
      stdio: 'ignore',
      detached: args['detached'] === true,
    })
    reply(id, String(child.pid))
  },
  progress: (id, args, meta) => {
    for (let n = 1; n <= Number(args['steps']); n += 1)
      notify('notifications/progress', { progressToken: meta['progressToken'], progress: n })
    reply(id, 'done')
  },
  log: (id, args) => {
    for (const level of args['levels'] as string[]) notify('notifications/message', { level, data: level })
    reply(id, 'logged')
  },
  update: (id, args) => {
    notify('notifications/resources/updated', { uri: args['uri'] })
    reply(id, 'updated')
  },
  changed: (id) => {
    for (const kind of ['tools', 'prompts', 'resources']) notify(`notifications/${kind}/list_changed`)
    reply(id, 'changed')
  },
  ask: (id, args) => {
    void ask(String(args['method']), (args['params'] ?? {}) as Json).then((answer) => {
      reply(id, JSON.stringify(answer['result'] ?? answer['error']))
    })
  },
  // Requests of the server's own, three each millisecond, for as long as it is told.
  'ask-often': (id, args) => {
    const until = Date.now() + Number(args['ms'])
    const timer = setInterval(() => {
      for (let n = 0; n < 3; n += 1) void ask('roots/list', {})
      if (Date.now() < until) return
      clearInterval(timer)
      reply(id, String(asked))
    }, 1)
  },
  deep: (id, args) => {
    const depth = Number(args['depth'])
    const nested = `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`
    write(`{"jsonrpc":"2.0","id":${String(id)},"result":{"content":[],"structuredContent":${nested}}}\n`)
  },
  'ask-and-take-back': (id, args) => {
    void ask(String(args['method']), {})
    notify('notifications/cancelled', { requestId: asked })
    reply(id, 'taken back')
  },
}

const methods: Record<string, (id: unknown, params: Json) => void> = {
  initialize(id) {
    if (flags.has('--refuse')) {
      send({ id, error: { code: -32_000, message: 'not today' } })
      return
    }
    send({
      id,
      result: {
        protocolVersion: revision,
        capabilities: {
          tools: { listChanged: true },
          prompts: { listChanged: true },
          resources: { subscribe: true, listChanged: true },
          logging: {},
        },
        serverInfo: { name: 'unruly', version: '1' },
        instructions: 'Take care.',
      },
    })
  },
  ping: (id) => send({ id, result: {} }),
  'logging/setLevel': (id) => send({ id, result: {} }),
  'resources/subscribe': (id) => send({ id, result: {} }),
  'resources/unsubscribe': (id) => send({ id, result: {} }),
  'tools/list'(id) {
    const more = Array.from({ length: Number(argument('--tools') ?? 0) }, (_, n) => `tool-${n}`)
    const names = [...Object.keys(tools), ...(flags.has('--tools') ? more : [])]
    send({ id, result: { tools: names.map((name) => ({ name, inputSchema: {} })) } })
  },
  'tools/call'(id, params) {
    tools[String(params['name'])]?.(id, (params['arguments'] ?? {}) as Json, (params['_meta'] ?? {}) as Json)
  },
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const message = JSON.parse(line) as Json
  if (message['method'] === undefined) {
    waiting.get(Number(message['id']))?.(message)
    return
  }
  const method = message['method'] as string
  const params = (message['params'] ?? {}) as Json
  const level = params['level'] as string | undefined
  if (method !== 'tools/call') calls.push(level === undefined ? method : `${method} ${level}`)
  if (flags.has('--silent')) return
  if (method === 'server/discover') {
    if (flags.has('--exit-on-discover')) process.exit(1)
    if (flags.has('--mute-discover')) return
  }
  if (method === 'notifications/cancelled') cancelled.push(params)
  if (message['id'] === undefined) return
  const known = methods[method]
  if (known) known(message['id'], params)
  else send({ id: message['id'], error: { code: -32_601, message: 'Method not found' } })
})
