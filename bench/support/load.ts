import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** One request, sent over and over on each connection as soon as the answer before it is complete. */
export interface LoadPlan {
  readonly port: number
  /** The whole HTTP/1.1 request, head and body. */
  readonly request: string
  readonly connections: number
  readonly warmupMs: number
  readonly durationMs: number
  /** Text every answer must hold; an answer without it counts as an error. */
  readonly expect: string
  /** The processor core that the load keeps to; absent: any. */
  readonly core?: number
}

export interface LoadResult {
  readonly perSecond: number
  /** Milliseconds. */
  readonly p50: number
  readonly p99: number
  readonly max: number
  readonly answers: number
  /** Those of the warm-up counted, too. */
  readonly allAnswers: number
  readonly errors: number
}

/** Runs the load in a process of its own, so that generating it is not timed as part of the server. */
export async function load(plan: LoadPlan): Promise<LoadResult> {
  const node = [process.execPath, fileURLToPath(new URL('load-worker.ts', import.meta.url))]
  const [command, ...args] = plan.core === undefined ? node : ['taskset', '-c', String(plan.core), ...node]
  const worker = spawn(command as string, args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
  return await new Promise((resolve, reject) => {
    worker.once('message', (result) => {
      resolve(result as LoadResult)
    })
    worker.once('error', reject)
    // Not `exit`: the result may still be on its way then.
    worker.once('disconnect', () => {
      reject(new Error('the load process ended without a result'))
    })
    worker.send(plan)
  })
}

/** The bytes of a POST of JSON with a bearer token, as a keep-alive client sends them. */
export function postJson(
  path: string,
  port: number,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): string {
  const text = JSON.stringify(body)
  const head = Object.entries({
    host: `127.0.0.1:${port}`,
    'content-type': 'application/json',
    accept: 'application/json, text/event-stream',
    'content-length': String(Buffer.byteLength(text)),
    ...headers,
  }).map(([name, value]) => `${name}: ${value}`)
  return `POST ${path} HTTP/1.1\r\n${head.join('\r\n')}\r\n\r\n${text}`
}
