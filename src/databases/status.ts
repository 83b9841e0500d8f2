/** What an operator sees of one database. Holds no password and no statement. */
export interface DatabaseStatus {
  readonly name: string
  /** `refused`: reachable, but its role may do too much to be served; `unknown`: not tried yet. */
  readonly state: 'up' | 'down' | 'refused' | 'unknown'
  /** PostgreSQL's version, such as `18.1`; `null` until the first connection. */
  readonly version: string | null
  /** The role that reads run as. */
  readonly role: string
  /** Why the database is down or refused; otherwise `null`. */
  readonly message: string | null
  /** Open connections, those being opened and Postern's own for the catalogue included. */
  readonly connections: number
  /** Those of callers that run a statement or belong to a session. */
  readonly busy: number
  /** Calls that wait for a connection. */
  readonly waiting: number
}
