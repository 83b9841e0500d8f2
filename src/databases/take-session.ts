import { type Refusal, refusal } from '../access/refusal.ts'
import type { Clock } from '../lib/clock.ts'
import { Fault } from '../lib/fault.ts'
import { err, ok, type Result } from '../lib/result.ts'
import type { Connection, ConnectionKind } from './connection.ts'
import type { Pool, PoolOwner } from './pool.ts'
import type { Pools } from './pools.ts'
import { Session } from './session.ts'
import { type Interrupted, isInterrupted, Waiter } from './waiter.ts'

export interface SessionOptions {
  readonly database: string
  readonly sessionsPerCredential: number
  readonly acquireTimeoutMs: number
  readonly clock: Clock
}

/** How many names are remembered for each session that may be open. */
const LOST_KEPT = 4

/**
 * Takes the connection of a credential's named session, opening it at the first use. The pool's `finished`
 * gives it back. Throws `Fault` like `Pools.acquire`.
 */
export async function takeSession(
  pools: Pools,
  owner: PoolOwner,
  name: string,
  kind: ConnectionKind,
  signal: AbortSignal,
  options: SessionOptions,
): Promise<Result<Connection | Interrupted, Refusal>> {
  const pool = pools.pool(owner)
  const existing = pool.sessions.get(name)
  if (existing?.lost != null) {
    pool.sessions.delete(name)
    return err(
      refusal('session_unknown', 'session.lost', `session "${name}" is over: ${existing.lost}`, {
        allowed: 'call again for a fresh session; what lived in the old one is gone',
      }),
    )
  }
  if (existing === undefined) {
    return openSession(pools, pool, new Session(name, kind, () => options.clock.now()), signal, options)
  }
  if (existing.kind !== kind) return err(otherKind(existing))
  if (existing.busy || existing.connection === null) return ok(await waitForTurn(existing, signal, options))
  existing.busy = true
  return ok(existing.connection)
}

/**
 * An admin's question runs with the right to read only, and so does its session: on the connection of a session
 * that writes, what a model wrote would run as the writer role; on a read connection no write succeeds later.
 */
const otherKind = ({ name, kind }: Session): Refusal =>
  refusal(
    'conflict',
    'session.kind',
    kind === 'read'
      ? `session "${name}" was opened by a question and only reads`
      : `session "${name}" may write, which is not for the SQL of a question`,
    { allowed: 'the same call with another session name, or without one' },
  )

async function openSession(
  pools: Pools,
  pool: Pool,
  session: Session,
  signal: AbortSignal,
  options: SessionOptions,
): Promise<Result<Connection | Interrupted, Refusal>> {
  let open = 0
  for (const { lost } of pool.sessions.values()) if (lost === null) open += 1
  if (open >= options.sessionsPerCredential) {
    return err(
      refusal('too_many_sessions', 'session.limit', `this credential has ${open} sessions open already`, {
        allowed: `${options.sessionsPerCredential} sessions at once: use one of them, or wait until one is closed for being idle`,
      }),
    )
  }
  forgetOldest(pool, options.sessionsPerCredential * LOST_KEPT)
  pool.sessions.set(session.name, session)
  session.busy = true
  const drop = (): void => {
    if (pool.sessions.get(session.name) === session) pool.sessions.delete(session.name)
    session.lose('it could not be opened')
  }
  try {
    const connection = await pools.acquire(pool.owner, session.kind, signal)
    if (isInterrupted(connection)) drop()
    else {
      pool.pinned.set(connection, session)
      session.connection = connection
    }
    return ok(connection)
  } catch (fault) {
    drop()
    throw fault
  }
}

/** Names of lost sessions are kept to tell their next caller, but not without end. */
function forgetOldest(pool: Pool, most: number): void {
  for (const { name, lost } of pool.sessions.values()) {
    if (pool.sessions.size < most) return
    if (lost !== null) pool.sessions.delete(name)
  }
}

function waitForTurn(
  session: Session,
  signal: AbortSignal,
  options: SessionOptions,
): Promise<Connection | Interrupted> {
  const { clock, acquireTimeoutMs, database } = options
  const waiter = new Waiter<Connection>(
    clock,
    acquireTimeoutMs,
    signal,
    () =>
      new Fault(
        'database_busy',
        `session "${session.name}" on database "${database}" is busy: another call has used it for more than ${acquireTimeoutMs} ms`,
        { retryAfterS: 1 },
      ),
    (left) => {
      const at = session.waiting.indexOf(left)
      if (at !== -1) session.waiting.splice(at, 1)
    },
  )
  session.waiting.push(waiter)
  return waiter.promise
}
