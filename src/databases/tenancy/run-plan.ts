import { type Client, DatabaseError } from 'pg'
import { err, ok, type Result } from '../../lib/result.ts'
import type { PlannedStatement } from './plan.ts'
import { PREAMBLE } from './script.ts'

/** PostgreSQL refused a statement; nothing was changed. */
export interface PlanFailure {
  readonly statement: PlannedStatement
  readonly message: string
  readonly sqlstate: string | null
}

/**
 * Runs the statements of a plan in one transaction: all of them or none.
 *
 * @param client as a role that may; not in a transaction
 */
export async function runPlan(
  client: Client,
  statements: readonly PlannedStatement[],
): Promise<Result<null, PlanFailure>> {
  await client.query('BEGIN')
  try {
    for (const sql of PREAMBLE) await client.query(sql)
    for (const statement of statements) {
      const failure = await attempt(client, statement)
      if (failure !== null) {
        await client.query('ROLLBACK')
        return err(failure)
      }
    }
    await client.query('COMMIT')
    return ok(null)
  } catch (error) {
    await client.query('ROLLBACK').catch(() => undefined)
    throw error
  }
}

async function attempt(client: Client, statement: PlannedStatement): Promise<PlanFailure | null> {
  try {
    await client.query(statement.sql)
    return null
  } catch (error) {
    if (!(error instanceof DatabaseError)) throw error
    return { statement, message: error.message, sqlstate: error.code ?? null }
  }
}
