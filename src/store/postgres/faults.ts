import { Fault } from '../../lib/fault.ts'

/** SQLSTATE values and classes that an operator must mend, and how. Longer prefixes come first. */
const EXPLANATIONS: readonly (readonly [prefix: string, explanation: string])[] = [
  ['28', 'it refuses the user or password of `store`'],
  ['3D', 'it has no database of that name: create it first'],
  ['42501', 'its role may not do that: it must own the database or schema it writes to'],
  ['53100', 'its disk is full'],
  ['53300', 'it has no connection left'],
  ['53', 'it is out of resources'],
  ['57014', 'it took too long to answer'],
  ['57', 'it is shutting down or starting'],
  ['58', 'it reports a system error'],
  ['08', 'the connection broke'],
  ['25006', 'it is read-only: `store` must name the primary'],
  ['XX', 'it reports an internal error'],
]

/** A conflict that goes away when the transaction is run again: serialisation failure or deadlock. */
export function isConflict(error: unknown): boolean {
  const state = sqlState(error)
  return state === '40001' || state === '40P01'
}

/**
 * A violated constraint or a wrong statement stays what it is. Errors without a SQLSTATE come from the
 * socket or the driver: the server cannot be reached. The message names no host and no user.
 */
export function postgresFault(error: unknown): unknown {
  if (error instanceof Fault) return error
  const state = sqlState(error)
  if (state === undefined) return unavailable('it cannot be reached', error)
  const found = EXPLANATIONS.find(([prefix]) => state.startsWith(prefix))
  return found ? unavailable(found[1], error) : error
}

function unavailable(explanation: string, cause: unknown): Fault {
  return new Fault('store_unavailable', `the PostgreSQL store: ${explanation}`, { cause, retryAfterS: 1 })
}

function sqlState(error: unknown): string | undefined {
  const code = error instanceof Error && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && !code.startsWith('E') ? code : undefined
}
