import { expect, test } from 'vitest'
import { openParser } from '../databases/gate/parse.ts'
import { SQL_ARGUMENTS } from './run-sql.ts'

test('takes no longer statement than the gate does, and every one that the gate takes', async () => {
  const parser = await openParser()
  const sql = (length: number): string => `SELECT '${'x'.repeat(length - "SELECT ''".length)}'`
  for (const [length, taken] of [
    [100_000, true],
    [100_001, false],
  ] as const) {
    expect(SQL_ARGUMENTS.safeParse({ sql: sql(length) }).success).toBe(taken)
    expect(parser.parse(sql(length)).ok).toBe(taken)
  }
})
