import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { Client } from 'pg'
import { expect } from 'vitest'
import { ask, type Finished, postern, type Serving, serve, workFolder } from '../../support/postern.ts'
import type { TestDatabase } from '../../support/postgres.ts'

/** A token as `token add --json` shows it. */
export interface IssuedDocument {
  readonly id: string
  readonly token: string
  readonly note: string
  readonly databases: 'all' | readonly string[]
  readonly created_at: string
  readonly expires_at: string | null
  readonly hash_prefix: string
}

export type ListedDocument = Omit<IssuedDocument, 'token'> & { readonly status: string }

export type LogLine = { readonly time: string; readonly level: string; readonly msg: string } & Readonly<
  Record<string, unknown>
>

/** A folder with a configuration, the gateways started in it and the commands run beside them. */
export interface Room {
  readonly dir: string
  path(name: string): string
  /** Runs `postern <args>` here. */
  run(args: readonly string[], input?: string): Promise<Finished>
  /** The one JSON document of a command that must succeed. */
  document<T = Record<string, unknown>>(args: readonly string[]): Promise<T>
  /** `postern token add --note … <options>`. */
  add(note: string, ...options: readonly string[]): Promise<IssuedDocument>
  /** Starts a gateway here; it ends with the room. */
  serve(...args: readonly string[]): Promise<Serving>
  close(): Promise<void>
}

export async function openRoom(files: Readonly<Record<string, string>> = {}): Promise<Room> {
  const { dir, remove } = await workFolder(files)
  const started: Serving[] = []
  const run: Room['run'] = (args, input) =>
    postern(args, { cwd: dir, ...(input === undefined ? {} : { input }) })
  const document = async <T>(args: readonly string[]): Promise<T> => {
    const { code, stdout, stderr } = await run([...args, '--json'])
    if (code !== 0) throw new Error(`postern ${args.join(' ')} ended with ${code}\n${stdout}\n${stderr}`)
    return JSON.parse(stdout) as T
  }
  return {
    dir,
    path: (name) => join(dir, name),
    run,
    document,
    add: (note, ...options) => document(['token', 'add', '--note', note, ...options]),
    async serve(...args) {
      const serving = await serve(args.length === 0 ? ['serve'] : args, { cwd: dir })
      started.push(serving)
      return serving
    },
    async close() {
      await Promise.all(started.map((serving) => serving.stop()))
      await remove()
    },
  }
}

/** A value for an admin token of the configuration. */
export const ROOT = 'the-admin-token-of-the-tests'

/** Issues a token through the admin API of a gateway that has `ROOT`. */
export async function issue(
  { url }: Pick<Serving, 'url'>,
  note: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<IssuedDocument> {
  const { status, body } = await ask(`${url}/api/v1/admin/tokens`, ROOT, { json: { note, ...more } })
  if (status !== 201) throw new Error(`${status}: ${JSON.stringify(body)}`)
  return body as IssuedDocument
}

/** The text of a `postern.yaml` (JSON is YAML) that listens on a free port. */
export const configuration = (parts: Readonly<Record<string, unknown>>): string =>
  JSON.stringify(
    {
      server: { addr: '127.0.0.1:0' },
      limits: { drain: '100ms' },
      auth: { tokens: { root: { value: ROOT, level: 'admin' } } },
      ...parts,
    },
    null,
    2,
  )

/** A `databases` entry for a test database. */
export const served = (
  name: string,
  database: Pick<TestDatabase, 'readerUrl' | 'writerUrl'>,
  more: Readonly<Record<string, unknown>> = {},
): Readonly<Record<string, unknown>> => ({
  name,
  url: database.readerUrl,
  writerUrl: database.writerUrl,
  ...more,
})

/** What a token file holds of a token. */
export const hashOf = (token: string): string => createHash('sha256').update(token).digest('hex')

export const logOf = (serving: Pick<Serving, 'stderr'>): readonly LogLine[] =>
  serving
    .stderr()
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as LogLine)

/** Polls patiently: the machine may be doing ten other things. */
export const soon = <T>(read: () => T) => expect.poll(read, { timeout: 15_000, interval: 10 })

export interface CallAnswer {
  /** `null` when the call was done. */
  readonly code: string | null
  readonly rule: string | null
  readonly message: string
  readonly rows: readonly (readonly unknown[])[]
  readonly structured: Readonly<Record<string, unknown>>
  readonly text: string
  readonly status: number
}

const MODERN = { 'mcp-protocol-version': '2025-11-25' }

/** One `tools/call` over MCP, in the revision that knows structured results. */
export async function call(
  url: string,
  token: string | null,
  name: string,
  args: Readonly<Record<string, unknown>>,
): Promise<CallAnswer> {
  const { status, body } = await ask(`${url}/mcp/v1`, token, {
    json: { jsonrpc: '2.0', id: 1, method: 'tools/call', params: { name, arguments: args } },
    headers: MODERN,
  })
  const { result, error } = body as {
    result?: {
      isError?: boolean
      content: { text: string }[]
      structuredContent?: Record<string, unknown>
      _meta?: { 'postern/refusal'?: { code: string; rule: string; message: string } }
    }
    error?: { message: string; data?: { code?: string; rule?: string } }
  }
  const structured = result?.structuredContent ?? {}
  const refused = result?._meta?.['postern/refusal']
  const failed = result === undefined || result.isError === true
  return {
    status,
    code: failed ? (refused?.code ?? error?.data?.code ?? `status ${status}`) : null,
    rule: refused?.rule ?? error?.data?.rule ?? null,
    message: refused?.message ?? error?.message ?? '',
    rows: (structured['rows'] as CallAnswer['rows'] | undefined) ?? [],
    structured,
    text: result?.content.map(({ text }) => text).join('\n') ?? '',
  }
}

/** `query_database` with SQL; `session` and the like in `more`. */
export const query = (
  url: string,
  token: string | null,
  sql: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<CallAnswer> => call(url, token, 'query_database', { query: sql, ...more })

/** The rows of a query that must be answered. */
export async function rowsOf(
  url: string,
  token: string | null,
  sql: string,
  more: Readonly<Record<string, unknown>> = {},
): Promise<readonly (readonly unknown[])[]> {
  const answer = await query(url, token, sql, more)
  if (answer.code !== null) throw new Error(`${sql}: ${answer.code} ${answer.message}`)
  return answer.rows
}

export interface Observer {
  query<T extends Record<string, unknown>>(sql: string, params?: readonly unknown[]): Promise<readonly T[]>
  /** Backends of the gateway in this database, by what they run or ran last. */
  backends(like: string): Promise<readonly { readonly pid: number; readonly state: string }[]>
  isThere(pid: number): Promise<boolean>
  close(): Promise<void>
}

/** A superuser who looks at the database from outside, past the gateway. */
export async function observe({ url }: Pick<TestDatabase, 'url'>): Promise<Observer> {
  const client = new Client({ connectionString: url })
  await client.connect()
  const query: Observer['query'] = async <T extends Record<string, unknown>>(
    sql: string,
    params: readonly unknown[] = [],
  ) => (await client.query<T>(sql, [...params])).rows
  return {
    query,
    backends: (like) =>
      query(
        `SELECT pid, state FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE $1`,
        [like],
      ),
    isThere: async (pid) =>
      (await query('SELECT 1 AS one FROM pg_stat_activity WHERE pid = $1', [pid])).length > 0,
    close: () => client.end(),
  }
}
