import { expect, test } from 'vitest'
import type { Judged } from './gate/judge.ts'
import { planStatement } from './plan.ts'

const judged = (access: 'read' | 'write', leavesNothing: boolean): Judged => ({
  statement: 'SelectStmt',
  access,
  explain: false,
  leavesNothing,
  sessionState: false,
  relations: [],
  sql: 'SELECT 1',
})
const flags = [false, true]

test('a read runs bare only where all three hold: proven, watched, on a read connection', () => {
  for (const leavesNothing of flags)
    for (const reportsReadOnly of flags)
      for (const session of flags)
        for (const kind of ['read', 'write'] as const) {
          const ground = { kind, session, reportsReadOnly }
          const plan = planStatement(judged('read', leavesNothing), ground)
          const bare = leavesNothing && reportsReadOnly && kind === 'read'
          expect(plan.wrapping).toBe(bare ? 'bare' : 'read-only')
          expect(plan.limitRows).toBe(true)
        }
})

test('what may leave something is scrubbed, except in the session that is to keep it', () => {
  for (const session of flags)
    for (const access of ['read', 'write'] as const) {
      const ground = { kind: 'write', session, reportsReadOnly: true } as const
      expect(planStatement(judged(access, false), ground).scrub).toBe(!session)
    }
})

test('a write is never torn by the size of its answer', () => {
  for (const session of flags) {
    const ground = { kind: 'write', session, reportsReadOnly: true } as const
    expect(planStatement(judged('write', false), ground)).toMatchObject({
      limitRows: false,
      beyondBytes: 'skip',
    })
  }
})
