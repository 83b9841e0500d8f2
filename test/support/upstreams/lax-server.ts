import { randomUUID } from 'node:crypto'
import { createInterface } from 'node:readline'

/**
 * A server over stdio that is honest and lax at once. It reads the keys of JSON objects without regard to case, the
 * last one counts (Go's `encoding/json`); and it takes all its clients for one, as a server may that has only one pipe.
 */
type Json = Readonly<Record<string, unknown>>

const isObject = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

function lax(object: unknown, key: string): unknown {
  let value: unknown
  for (const [name, member] of Object.entries(isObject(object) ? object : {})) {
    if (name.toUpperCase().toLowerCase() === key) value = member
  }
  return value
}

const say = (message: object): void => {
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', ...message })}\n`)
}

const text = (words: string): object => ({ content: [{ type: 'text', text: words }] })

const tool = (name: string, annotations: object = {}): object => ({
  name,
  inputSchema: { type: 'object' },
  annotations,
})

/** Tasks of everybody. */
const tasks = new Map<string, { readonly task: object; readonly result: object }>()

function makeTask(result: object): object {
  const now = new Date().toISOString()
  const taskId = randomUUID()
  const task = { taskId, status: 'completed', ttl: 60_000, createdAt: now, lastUpdatedAt: now }
  tasks.set(taskId, { task, result })
  return { task }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

async function call(params: unknown): Promise<object> {
  const name = String(lax(params, 'name'))
  const args = lax(params, 'arguments')
  switch (name) {
    case 'touch':
      say({ method: 'notifications/resources/updated', params: { uri: lax(args, 'uri') } })
      return text('touched')
    case 'work':
      // Goes on when its caller has given up, and tells of it.
      setTimeout(
        () => {
          say({
            method: 'notifications/message',
            params: { level: 'info', data: `done: ${String(lax(args, 'what'))}` },
          })
        },
        Number(lax(args, 'ms') ?? 0),
      )
      return text('begun')
    case 'wait':
      await sleep(Number(lax(args, 'ms')))
      return text('waited')
    default:
      return text(`ran ${name} with ${JSON.stringify(args)}`)
  }
}

async function answer(method: string, params: unknown): Promise<object> {
  switch (method) {
    case 'initialize':
      return {
        protocolVersion: lax(params, 'protocolversion') ?? '2025-11-25',
        capabilities: {
          tools: { listChanged: true },
          prompts: {},
          resources: { subscribe: true },
          logging: {},
          tasks: { list: {}, cancel: {}, requests: { tools: { call: {} } } },
        },
        serverInfo: { name: 'lax', version: '1' },
      }
    case 'tools/list':
      return { tools: ['open', 'secret', 'touch', 'work', 'wait'].map((name) => tool(name)) }
    case 'tools/call':
      return lax(params, 'task') === undefined ? await call(params) : makeTask(await call(params))
    case 'tasks/list':
      return { tasks: [...tasks.values()].map((one) => one.task) }
    case 'tasks/get':
      return tasks.get(String(lax(params, 'taskid')))?.task ?? {}
    case 'tasks/result':
      return tasks.get(String(lax(params, 'taskid')))?.result ?? {}
    case 'resources/read':
      return { contents: [{ uri: String(lax(params, 'uri')), text: `held ${String(lax(params, 'uri'))}` }] }
    default:
      return {}
  }
}

createInterface(process.stdin).on('line', (line) => {
  const { id, method, params } = JSON.parse(line) as Json
  if (typeof method !== 'string' || id === undefined) return
  if (method === 'server/discover') say({ id, error: { code: -32_601, message: 'unknown method' } })
  else void answer(method, params).then((result) => say({ id, result }))
})
