import { beforeAll, describe, expect, test } from 'vitest'
import { openParser, type Parser } from '../../databases/gate/parse.ts'
import { readIntent } from './intent.ts'

let parser: Parser

beforeAll(async () => {
  parser = await openParser()
})

describe('G12 what a text asks for', () => {
  test.each([
    'SELECT 1',
    'select * form orders',
    'SELECT',
    '-- all of them\nSELECT * FROMM orders',
    '/* x */ DELETE FROM orders WHERE',
    '(SELECT 1) UNION (SELEC 2)',
    'WITH a AS (SELECT 1) SELCT * FROM a',
    'with recursive r(n) as (select 1',
    'INSERT INTO orders VALUES (1',
    'UPDATE orders SET status = ',
    'update only public.orders as o set x = = 1',
    'DELETE FROM orders WHERE id = = 1',
    'EXPLAIN SELECT * FORM orders',
    'EXPLAIN (ANALYZE) SELECT ((1)',
    'CREATE TABLE t (a int,,)',
    'DROP TABLE',
    'DROP TABLE orders,',
    'SET TRANSACTION READ WRITE,',
    'COMMIT; DELETE FROM orders x y z',
    'SHOW server_version; x y z;',
    'DO $$ BEGIN',
    'COPY orders TO PROGRAM',
    'GRANT ALL ON orders TO',
    '1 + 1',
    ';;;',
    '',
  ])('%j is SQL, though perhaps with a mistake', (text) => {
    expect(readIntent(parser, text)).toEqual({ kind: 'sql' })
  })

  test.each([
    'Show me all active users',
    'show the orders of last week',
    'List customers in Hamburg',
    'How many orders are late?',
    'Which machine broke most often, and when?',
    'With which customers do we earn the most?',
    'Explain why revenue fell in March',
    'Update me on the state of order 17',
    'Delete the old ones? Which would that be?',
    'create a list of customers',
    'set me up with a list of machines',
    'Values of stock by warehouse',
    'table of revenue by month please',
    'customers',
    'Wie viele Kunden haben wir?',
    '顧客は何人いますか',
  ])('%j is a question', (text) => {
    expect(readIntent(parser, text)).toEqual({ kind: 'question' })
  })

  test('SHOW of one word may be either', () => {
    expect(readIntent(parser, 'show customers')).toEqual({ kind: 'either', name: 'customers' })
    expect(readIntent(parser, 'SHOW server_version')).toEqual({ kind: 'either', name: 'server_version' })
  })

  test('takes no longer for texts made to be slow', () => {
    const startedAt = performance.now()
    for (const text of [
      '/*'.repeat(20_000),
      `${' '.repeat(90_000)}x`,
      `${'/* a */ '.repeat(10_000)}x y`,
      `/*${'*'.repeat(90_000)}`,
      `update ${'a'.repeat(90_000)} x`,
      `grant ${' a'.repeat(40_000)}`,
      '-'.repeat(90_000),
    ]) {
      readIntent(parser, text)
    }
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  })
})
