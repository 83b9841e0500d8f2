import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { setFlagsFromString } from 'node:v8'
import type { ParseResult } from 'libpg-query'
import createInstance, { type PgQueryInstance } from 'libpg-query/wasm/libpg-query.js'
import type { Refusal } from '../../access/refusal.ts'
import { Fault } from '../../lib/fault.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import { refuseSql } from './rules.ts'

/** The longest statement, in bytes of UTF-8: what the parser makes of it is some 25 times as large. */
export const LONGEST_SQL_BYTES = 100_000

/**
 * PostgreSQL's lexer reads a run of operator characters whole and then gives back what is a comment or a
 * sign, character by character: 40,000 times slash-star take it 14 seconds. No operator is longer than 63.
 */
const LONG_OPERATOR_RUN = /[~!@#^&|`?+\-*/%<>=]{257}/

/** The parser of PostgreSQL 18, as WebAssembly, behind bounds that keep it quick and alive. */
export interface Parser {
  /** Syntax errors carry line, column and the parser's own message. */
  parse(sql: string): Result<ParseResult, Refusal>
  /** The statements of a `CREATE FUNCTION … LANGUAGE plpgsql`; `null` when the parser cannot read it. */
  parsePlpgsql(createFunction: string): unknown
}

/**
 * Loads the parser. A trap inside it (deep recursion) leaves its stack pointer and error handlers where
 * they were, so the instance is thrown away and a spare one that was made beforehand takes its place.
 */
export async function openParser(): Promise<Parser> {
  keepBaselineCode()
  const file = createRequire(import.meta.url).resolve('libpg-query/wasm/libpg-query.wasm')
  const module = await WebAssembly.compile(await readFile(file))
  const make = (): Promise<PgQueryInstance> =>
    createInstance({
      instantiateWasm(imports, ready) {
        const instance = new WebAssembly.Instance(module, imports)
        ready(instance, module)
        return instance.exports
      },
    })
  const spares: PgQueryInstance[] = []
  let current: PgQueryInstance | undefined = await make()
  spares.push(await make())

  /** Instances that could not be made, for want of memory for instance: the next call tries again. */
  let owed = 0
  const refill = (): void => {
    make().then(
      (instance) => {
        if (current) spares.push(instance)
        else current = instance
      },
      () => {
        owed += 1
      },
    )
  }
  const replace = (): void => {
    current = spares.pop()
    refill()
  }

  /** Runs one call into the parser; `undefined` when it trapped. */
  const call = <T>(text: string, use: (instance: PgQueryInstance, query: number) => T): T | undefined => {
    for (; owed > 0; owed -= 1) refill()
    const instance = current
    // After two traps within one turn of the event loop, or without memory for another one.
    if (!instance)
      throw new Fault('database_busy', 'the SQL parser is starting again: try again', { retryAfterS: 1 })
    try {
      const bytes = instance.lengthBytesUTF8(text) + 1
      const query = instance._malloc(bytes)
      instance.stringToUTF8(text, query, bytes)
      const answer = use(instance, query)
      instance._free(query)
      return answer
    } catch {
      replace()
      return undefined
    }
  }

  return {
    parse(sql) {
      const bad = outOfBounds(sql)
      if (bad) return err(bad)
      const read = call(sql, readTree)
      if (read === undefined || read.error?.message.startsWith('memory exhausted'))
        return err(refuseSql('sql.too_deep', 'the statement is nested too deeply to be judged'))
      if (read.error) return err(syntaxError(sql, read.error.message, read.error.position))
      return ok(JSON.parse(read.tree) as ParseResult)
    },
    parsePlpgsql(createFunction) {
      if (outOfBounds(createFunction)) return null
      const text = call(createFunction, (instance, query) => {
        const result = instance._wasm_parse_plpgsql(query)
        const json = instance.UTF8ToString(result)
        instance._wasm_free_string(result)
        return json
      })
      return text?.startsWith('{') === true ? (JSON.parse(text) as unknown) : null
    },
  }
}

/**
 * The grammar is one huge function. After some fifty statements V8 would compile it once more, optimised, and
 * take 500 MB for a second or two, to save 20 µs a statement: a small machine would not survive that. All
 * three are needed: at run time no flag implies another.
 */
function keepBaselineCode(): void {
  for (const flag of ['--liftoff-only', '--no-wasm-tier-up', '--no-wasm-dynamic-tiering'])
    setFlagsFromString(flag)
}

interface Read {
  readonly tree: string
  readonly error?: { readonly message: string; readonly position: number }
}

/** Reads a `PgQueryParseResult`: pointers to the tree, the captured output and the error. */
function readTree(instance: PgQueryInstance, query: number): Read {
  const result = instance._wasm_parse_query_raw(query)
  const failure = instance.getValue(result + 8, 'i32')
  const read: Read =
    failure === 0
      ? { tree: instance.UTF8ToString(instance.getValue(result, 'i32')) }
      : {
          tree: '',
          error: {
            message: instance.UTF8ToString(instance.getValue(failure, 'i32')),
            position: instance.getValue(failure + 16, 'i32'),
          },
        }
  instance._wasm_free_parse_result(result)
  return read
}

function outOfBounds(sql: string): Refusal | undefined {
  if (sql.length > LONGEST_SQL_BYTES || Buffer.byteLength(sql, 'utf8') > LONGEST_SQL_BYTES)
    return refuseSql('sql.too_long', `the statement is longer than ${LONGEST_SQL_BYTES} bytes`)
  // The parser would stop at a NUL and PostgreSQL's protocol, too; a lone surrogate would be sent as
  // another character than was judged.
  if (sql.includes('\0')) return refuseSql('sql.characters', 'the statement holds a NUL character')
  if (!sql.isWellFormed()) return refuseSql('sql.characters', 'the statement is not valid Unicode text')
  if (LONG_OPERATOR_RUN.test(sql))
    return refuseSql('sql.characters', 'the statement holds a run of more than 256 operator characters')
  return undefined
}

/** @param position of the error in characters, counted from 1; 0 when unknown */
function syntaxError(sql: string, message: string, position: number): Refusal {
  const before = Array.from(sql)
    .slice(0, Math.max(0, position - 1))
    .join('')
  const line = before.split('\n').length
  const column = Array.from(before.slice(before.lastIndexOf('\n') + 1)).length + 1
  const where = position > 0 ? ` at line ${line}, column ${column}` : ''
  const hint = /^\s*desc(ribe)?\b/i.test(sql)
    ? '; PostgreSQL has no DESCRIBE: ask information_schema.columns or the schema tools'
    : ''
  const refused = refuseSql('sql.syntax', `${message}${where}${hint}`)
  return position > 0 ? { ...refused, position } : refused
}
