import {
  type DatabaseConnection,
  type Dialect,
  PostgresAdapter,
  PostgresDriver,
  PostgresIntrospector,
  PostgresQueryCompiler,
} from 'kysely'
import type { Pool } from 'pg'
import { postgresFault } from './faults.ts'

/**
 * Kysely on a `pg` pool, with what an operator must mend turned into Faults.
 *
 * @param guard throws when the store must not be used any more
 */
export function postgresDialect(pool: Pool, guard: () => void = () => {}): Dialect {
  return {
    createAdapter: () => new PostgresAdapter(),
    createDriver: () => new FaultingDriver(pool, guard),
    createIntrospector: (db) => new PostgresIntrospector(db),
    createQueryCompiler: () => new PostgresQueryCompiler(),
  }
}

class FaultingDriver extends PostgresDriver {
  readonly #known = new WeakSet<DatabaseConnection>()
  readonly #guard: () => void

  constructor(pool: Pool, guard: () => void) {
    super({ pool })
    this.#guard = guard
  }

  override async acquireConnection(): ReturnType<PostgresDriver['acquireConnection']> {
    this.#guard()
    try {
      const connection = await super.acquireConnection()
      if (!this.#known.has(connection)) {
        this.#known.add(connection)
        const execute = connection.executeQuery.bind(connection)
        connection.executeQuery = async (query) => {
          try {
            return await execute(query)
          } catch (error) {
            throw postgresFault(error)
          }
        }
      }
      return connection
    } catch (error) {
      throw postgresFault(error)
    }
  }
}
