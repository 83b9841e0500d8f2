import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { beforeAll, describe, expect, it, vi } from 'vitest'
import { LONGEST_SQL_BYTES, openParser, type Parser } from './parse.ts'

let parser: Parser

beforeAll(async () => {
  parser = await openParser()
})

const ruleOf = (sql: string): string | null => {
  const parsed = parser.parse(sql)
  return parsed.ok ? null : parsed.error.rule
}

const times = (text: string, count: number): string => text.repeat(count)

describe('the parser', () => {
  it('gives the place of a syntax error in characters', () => {
    const parsed = parser.parse("SELECT 'é\u{1f600}',\n  x FROM t WHERE WHERE")
    expect(parsed).toMatchObject({
      ok: false,
      error: {
        code: 'sql_syntax',
        rule: 'sql.syntax',
        message: 'syntax error at or near "WHERE" at line 2, column 18',
      },
    })
  })

  it('has a hint for DESCRIBE', () => {
    expect(parser.parse('describe orders')).toMatchObject({
      error: { message: expect.stringContaining('information_schema.columns') as unknown },
    })
  })

  it.each<[string, string]>([
    ['NUL', 'SELECT 1\0'],
    ['half a surrogate pair', "SELECT '\ud800'"],
    ['a long run of operators', `SELECT 1 ${times('+-', 200)}1`],
    ['a flood of comments', times('/*', 45_000) + times('*/', 4_000)],
    ['a flood of signs', `SELECT ${times('+', 90_000)}1`],
  ])('refuses %s', (_, sql) => {
    expect(ruleOf(sql)).toBe('sql.characters')
  })

  it('refuses what is too long, in bytes', () => {
    expect(ruleOf(`SELECT '${times('x', LONGEST_SQL_BYTES)}'`)).toBe('sql.too_long')
    expect(ruleOf(`SELECT '${times('é', LONGEST_SQL_BYTES / 2)}'`)).toBe('sql.too_long')
    expect(ruleOf(`SELECT '${times('x', LONGEST_SQL_BYTES - 9)}'`)).toBeNull()
  })

  const deep: [string, string][] = [
    ['parentheses', `SELECT ${times('(', 49_000)}1${times(')', 49_000)}`],
    ['functions', `SELECT ${times('f(', 30_000)}1${times(')', 30_000)}`],
    ['sums', `SELECT 1${times('+1', 40_000)}`],
    ['casts', `SELECT 1${times('::int', 15_000)}`],
    ['negations', `SELECT ${times('NOT ', 20_000)}true`],
    ['arrays', `SELECT ${times('ARRAY[', 12_000)}1${times(']', 12_000)}`],
    ['subqueries', `SELECT * FROM ${times('(SELECT * FROM ', 4_000)}t${times(') a', 4_000)}`],
    ['cases', `SELECT ${times('CASE WHEN true THEN ', 4_000)}1${times(' END', 4_000)}`],
  ]

  it.each(deep)('refuses deep %s and goes on', async (_, sql) => {
    expect(ruleOf(sql)).toBe('sql.too_deep')
    // The spare instance is there at once, the next one after a turn of the event loop.
    expect(ruleOf('SELECT 1')).toBeNull()
    await new Promise((done) => setTimeout(done, 20))
  })

  it('survives many traps', async () => {
    for (let round = 0; round < 20; round++) {
      expect(ruleOf(`SELECT 1${times('::int', 15_000)}`)).toBe('sql.too_deep')
      expect(ruleOf('SELECT 1')).toBeNull()
      await new Promise((done) => setTimeout(done, 30))
    }
  })

  it('survives that no instance can be made for a while', async () => {
    const own = await openParser()
    const trap = (): void => void own.parse(`SELECT 1${times('::int', 15_000)}`)
    const turn = (): Promise<void> => new Promise((done) => setTimeout(done, 30))
    const full = vi.spyOn(WebAssembly, 'Instance').mockImplementation(function none() {
      throw new RangeError('WebAssembly.Instance(): Out of memory: Cannot allocate Wasm memory')
    })
    try {
      trap()
      await turn()
      trap()
      await turn()
      expect(() => own.parse('SELECT 1')).toThrow('the SQL parser is starting again')
      await turn()
    } finally {
      full.mockRestore()
    }
    expect(() => own.parse('SELECT 1')).toThrow('the SQL parser is starting again')
    await turn()
    expect(own.parse('SELECT 1').ok).toBe(true)
    trap()
    expect(own.parse('SELECT 1').ok).toBe(true)
  })

  it('reads long flat statements quickly', () => {
    const flat = [
      `SELECT 1 WHERE 1 IN (${times('1,', 45_000)}1)`,
      `SELECT 1 WHERE ${times('a AND ', 15_000)}b`,
      `VALUES ${times('(1),', 20_000)}(1)`,
      `SELECT ${times('/* x */ 1, ', 8_000)} 1`,
      `SELECT 1${times(' UNION SELECT 1', 6_000)}`,
      times(';', 90_000),
      times('SELECT 1;', 10_000),
      `SELECT ${times('/**/ ', 15_000)}1`,
      `SELECT ${times(`${times('-', 200)}\n`, 400)}1`,
    ]
    for (const sql of flat) {
      const start = performance.now()
      parser.parse(sql)
      expect(performance.now() - start, sql.slice(0, 40)).toBeLessThan(1_500)
    }
  })
})

describe('the memory of the parser', () => {
  it('stays small while V8 finds out how often it is used', async () => {
    const program = `
      import { openParser } from ${JSON.stringify(new URL('parse.ts', import.meta.url).href)}
      const parser = await openParser()
      let number = 0
      for (const end = performance.now() + 1500; performance.now() < end; ) {
        for (let n = 0; n < 20; n += 1) parser.parse('SELECT a FROM t WHERE b = ' + (number += 1))
        await new Promise((resume) => setTimeout(resume, 20))
      }
      console.log(process.resourceUsage().maxRSS)`
    const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', program])
    expect(Number(stdout)).toBeGreaterThan(10_000)
    // Kilobytes. Optimised code of the grammar takes 600,000.
    expect(Number(stdout)).toBeLessThan(250_000)
  })
})
