import type { Caller } from '../../src/identity/caller.ts'
import { makeGate } from '../../src/databases/gate/judge.ts'
import { openParser, type Parser } from '../../src/databases/gate/parse.ts'
import { openSchemaCatalogues } from '../../src/databases/schema/catalogue.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { Secret } from '../../src/lib/secret.ts'
import { builtinTools } from '../../src/tools/builtin.ts'
import type { LanguageModel } from '../../src/tools/model/model.ts'
import type { Tool, ToolResult } from '../../src/tools/tool.ts'
import { callerOf, openHarness, optionsOf } from './databases.ts'
import { type TestDatabase, testPostgres } from './postgres.ts'

export interface BuiltinHarness {
  readonly database: TestDatabase
  readonly parser: Parser
  readonly tools: readonly Tool[]
  /** Calls a tool as a reader, or as the caller given. */
  call(tool: string, args: unknown, options?: { caller?: Caller; signal?: AbortSignal }): Promise<ToolResult>
  /** The result of a call that worked; throws when it was refused. */
  done(tool: string, args: unknown): Promise<{ text: string; structured: Record<string, unknown> }>
  close(): Promise<void>
}

/** The built-in tools over the real gate, the real pools and a database of its own with the sample. */
export async function openBuiltin(
  options: { model?: LanguageModel; rows?: number } = {},
): Promise<BuiltinHarness> {
  const postgres = await testPostgres()
  const database = await postgres.createDatabase(undefined, { sample: true })
  const parser = await openParser()
  const { user, password } = postgres.writer
  const limits = {
    rows: options.rows ?? 1_000,
    resultBytes: 1_000_000,
    streamRows: 0,
    streamTimeMs: 60_000,
    sessionsPerCredential: 3,
    sessionIdleMs: 60_000,
  }
  const { databases } = await openHarness(
    [optionsOf(database.readerUrl, { writer: { user, password: new Secret(password) } })],
    { gate: makeGate(parser), limits },
  )
  const schema = openSchemaCatalogues({ databases, clock: systemClock, staleAfterMs: 0 })
  const tools = builtinTools({ databases, schema, parser, model: options.model ?? null, limits })
  const call: BuiltinHarness['call'] = async (name, args, more = {}) => {
    const tool = tools.find(({ rule }) => rule.name === name)
    if (!tool) throw new Error(`no tool ${name}`)
    const parsed = tool.parse(args)
    if (!parsed.ok) throw new Error(parsed.error)
    return parsed.value.run({
      caller: more.caller ?? callerOf('ann'),
      requestId: 'r1',
      signal: more.signal ?? new AbortController().signal,
    })
  }
  return {
    database,
    parser,
    tools,
    call,
    async done(name, args) {
      const result = await call(name, args)
      if (result.outcome === 'refused') throw new Error(`refused: ${JSON.stringify(result.refusal)}`)
      return {
        text: result.content.map(({ text }) => text).join('\n'),
        structured: { ...result.structured },
      }
    },
    async close() {
      await databases.close()
      await database.drop()
    },
  }
}
