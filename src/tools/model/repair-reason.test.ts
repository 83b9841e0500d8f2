import { describe, expect, test } from 'vitest'
import { refusal } from '../../access/refusal.ts'
import { repairReason } from './repair-reason.ts'

const failed = (message: string, position?: number) =>
  refusal('sql_failed', 'database.error', message, {
    sqlstate: '22P02',
    ...(position === undefined ? {} : { position }),
  })

describe('the reason that a model is given', () => {
  test.each([
    'invalid input syntax for type integer: "Ann Hansen"',
    'invalid input syntax for type integer: "Ann "The Boss" Hansen"',
    'customer Ann Hansen has no orders',
  ])('holds nothing of %j, which came from rows', (message) => {
    expect(repairReason(failed(message), 'SELECT name::int FROM customers')).toBe(
      'rule database.error, SQLSTATE 22P02',
    )
  })

  test('names what the model wrote itself, and where', () => {
    const reason = repairReason(failed('column "town" does not exist', 8), 'SELECT Town FROM customers')
    expect(reason).toBe('column "town" does not exist (rule database.error, SQLSTATE 22P02 at character 8)')
  })

  test.each(['"Ann" x "Hansen"', '»Ann«', "'Ann'", '"Ann Hansen', '"town" and "Ann"'])(
    'quotes nothing else, as in %j',
    (quoted) => {
      const reason = repairReason(failed(`no such thing: ${quoted}`, 8), 'SELECT town FROM customers')
      expect(reason).toContain('no such thing: ')
      expect(reason).not.toMatch(/Ann|Hansen/)
    },
  )

  test("is the gate's own sentence where the gate refused", () => {
    const refused = refusal('sql_refused', 'sql.one_statement', '2 statements in one call', { node: 'x' })
    expect(repairReason(refused, 'SELECT 1; SELECT 2')).toBe(
      '2 statements in one call (rule sql.one_statement)',
    )
  })
})
