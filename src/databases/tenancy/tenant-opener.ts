import { DatabaseError } from 'pg'
import type { Fault } from '../../lib/fault.ts'
import { type Connecting, connect } from '../connect.ts'
import { describeConnectError } from '../connect-error.ts'
import { Connection, type ConnectionKind } from '../connection.ts'
import { notConnected, noteReached, objectTo, type Open, type OpenerOptions } from '../opener.ts'
import { checkLogin, type LoginCheck } from './check-login.ts'
import type { UnreadyTenants } from './unready-tenants.ts'

export interface TenantOpenerOptions extends OpenerOptions {
  readonly prefix: string
  readonly unready: UnreadyTenants
  /** Makes the roles of a tenant; `null` where that is done by command only. Rejects with an `Error` for the operator. */
  readonly provision: ((tenant: string) => Promise<void>) | null
  /** The schemas in which the gate looks for names, so that PostgreSQL looks in the same. */
  readonly searchPath: () => readonly string[]
}

type Unready = Extract<LoginCheck, { readonly message: string }>

/**
 * SQLSTATEs of a server that is there and does not know the role: a wrong password (which is also said of a role that
 * does not exist), a role that may not log in, a database that it may not enter.
 */
const NOT_LET_IN = new Set(['28P01', '28000', '42501'])

/**
 * Opens the connections of tenants. Each logs in as a role of its tenant, and is used only after the database has said
 * whose rows it will see. What is wrong with one tenant's roles does not touch the database's availability.
 */
export function tenantOpener(opened: TenantOpenerOptions): Open {
  return (kind, tenant) => {
    const { availability, unready } = opened
    availability.admit(kind)
    try {
      unready.admit(tenant)
    } catch (fault) {
      availability.undecided(kind)
      throw fault
    }
    const attempt = new Attempt(opened, kind, tenant)
    return {
      connection: attempt.run(),
      abort: () => {
        attempt.abort()
      },
    }
  }
}

class Attempt {
  readonly #opened: TenantOpenerOptions
  readonly #kind: ConnectionKind
  readonly #tenant: string
  #connecting: Connecting | null = null
  #abandoned = false

  constructor(opened: TenantOpenerOptions, kind: ConnectionKind, tenant: string) {
    this.#opened = opened
    this.#kind = kind
    this.#tenant = tenant
  }

  abort(): void {
    this.#abandoned = true
    this.#connecting?.abort()
  }

  async run(): Promise<Connection> {
    const { provision, unready } = this.#opened
    let answer = await this.#once()
    if (!(answer instanceof Connection) && answer.kind === 'unmade' && provision !== null) {
      const failed = await provision(this.#tenant).then(
        () => null,
        (error: unknown) =>
          `${messageOf(error)}, after ${answer instanceof Connection ? '' : answer.message}`,
      )
      answer = failed === null ? await this.#once() : { kind: 'unmade', message: failed }
    }
    if (answer instanceof Connection) {
      unready.ready(this.#tenant)
      noteReached(this.#opened, answer)
      return answer
    }
    this.#opened.availability.undecided(this.#kind)
    throw unready.failed(this.#tenant, answer.message)
  }

  async #once(): Promise<Connection | Unready> {
    const { options, clock, sessionIdleMs, track, availability, prefix } = this.#opened
    const login = this.#opened.loginFor(this.#kind, this.#tenant)
    if (this.#abandoned) throw this.#gaveUp(availability.fault())
    this.#connecting = connect(options, login, sessionIdleMs, clock, track, this.#opened.searchPath())
    let connection: Connection
    try {
      connection = await this.#connecting.connection
    } catch (error) {
      if (!this.#abandoned && error instanceof DatabaseError && NOT_LET_IN.has(error.code ?? ''))
        return { kind: 'unmade', message: describeConnectError(error, options, login.user) }
      throw this.#gaveUp(notConnected(this.#opened, login, error, this.#abandoned))
    }
    const objection = objectTo(connection, login, false)
    const check: LoginCheck =
      objection === null
        ? await checkLogin(connection, login.user, prefix, clock, options.connectTimeoutMs)
        : { kind: 'unfit', message: objection }
    if (check.kind === 'ready') return connection
    connection.close()
    if (check.kind === 'lost')
      throw this.#gaveUp(notConnected(this.#opened, login, new Error('it hung up'), this.#abandoned))
    return check
  }

  #gaveUp(fault: Fault): Fault {
    this.#opened.unready.undecided(this.#tenant)
    this.#opened.availability.undecided(this.#kind)
    return fault
  }
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
