import type { Clock } from '../lib/clock.ts'
import type { Observe } from '../observe/observation.ts'
import type { Store } from '../store/open.ts'
import { addToken } from './add-token.ts'
import { anonymousAuthenticator } from './anonymous.ts'
import type { Authenticator } from './authenticate.ts'
import { createAuthenticator } from './authenticator.ts'
import { bootstrapAdmin } from './bootstrap.ts'
import { cleanUp } from './clean-up.ts'
import { DeletedTenants } from './deleted-tenants.ts'
import { Expiries } from './expiries.ts'
import { findMeant } from './find-token.ts'
import { FIRST_TENANT } from './first-tenant.ts'
import { IssuedTokens } from './issued-tokens.ts'
import { Lifelines } from './lifelines.ts'
import { listAllTokens } from './list-tokens.ts'
import { type EndCredential, LoadedTokens } from './loaded-tokens.ts'
import { openPeople, openUserTokens, type People, type PeopleOptions } from './open-people.ts'
import { CommonLists } from './passwords/common.ts'
import { PasswordHasher } from './passwords/hasher.ts'
import { removeToken } from './remove-token.ts'
import { rotateToken } from './rotate-token.ts'
import { readStaticTokens, type StaticToken } from './static-tokens.ts'
import { knownFromFile } from './token-file/known.ts'
import { TokenFile } from './token-file/token-file.ts'
import type { TokenPlaces } from './token-places.ts'
import { TokenUses } from './token-uses.ts'
import type { IssuedToken, Tokens } from './tokens.ts'

export type { StaticToken } from './static-tokens.ts'

export interface IdentityOptions {
  readonly store: Store
  readonly staticTokens: readonly StaticToken[]
  /** Absolute path of a watched token file; `null` without one. */
  readonly tokenFile: string | null
  /** False with `--no-auth`: every caller is the same local, read-only one. */
  readonly enabled: boolean
  readonly clock: Clock
  readonly observe: Observe
  /** The tenant of tokens that name none. */
  readonly tenantDefault: string
  /** How people sign in; absent where nobody does. */
  readonly people?: PeopleOptions
  /**
   * `serve` (when absent) watches the sources, ends credentials and removes expired tokens at start;
   * `manage` is for one command that lists or changes tokens and exits.
   */
  readonly purpose?: 'serve' | 'manage'
}

/** Who may call: the authenticator, the tokens behind it, and what lives as long as they do. */
export interface Identity {
  readonly authenticator: Authenticator
  readonly tokens: Tokens
  /** `null` where nobody signs in. */
  readonly people: People | null
  readonly lifelines: Lifelines
  /**
   * Takes over the tokens of a changed configuration, and changed keys, ends what is gone or changed, and reads the list
   * of passwords to refuse again.
   */
  reload(staticTokens: readonly StaticToken[]): void
  /**
   * Once ever, and only when there is no credential of any kind: issues an admin token. `null` otherwise.
   * A removed token does not bring it back; `postern token add` on the machine always works.
   */
  bootstrapAdmin(): Promise<IssuedToken | null>
  /** False while revocations made elsewhere may arrive late. */
  ready(): boolean
  close(): Promise<void>
}

/**
 * Opens every source of credentials.
 *
 * @throws Fault `config_invalid` when the token file cannot be understood, `store_unavailable`
 */
export async function openIdentity(
  options: IdentityOptions & { readonly people: PeopleOptions },
): Promise<Identity & { readonly people: People }>
export async function openIdentity(options: IdentityOptions): Promise<Identity>
export async function openIdentity(options: IdentityOptions): Promise<Identity> {
  const { store, clock, observe, tenantDefault } = options
  const serving = (options.purpose ?? 'serve') === 'serve'
  const lifelines = new Lifelines()
  const end: EndCredential = (credentialId, reason) => {
    try {
      lifelines.end(credentialId, reason)
    } catch (error) {
      observe({ kind: 'fault', where: 'identity.end', error })
    }
    observe({ kind: 'credential.ended', credentialId, reason })
  }
  const expiries = new Expiries(clock, (credentialId) => end(credentialId, 'expired'))
  const issued = new IssuedTokens({ store, clock, observe, lifelines, expiries, end })
  const config = new LoadedTokens(end, expiries, clock)
  const fileTokens = new LoadedTokens(end, expiries, clock)
  const uses = new TokenUses(store, clock, observe)
  const userTokens =
    serving && options.people
      ? await openUserTokens(options, options.people.jwt, { lifelines, expiries, end })
      : null
  const deletedTenants = new DeletedTenants({
    store,
    clock,
    observe,
    end(tenant) {
      for (const loaded of [config, fileTokens]) loaded.endTenants((one) => one === tenant, 'revoked')
      issued.endTenant(tenant)
      userTokens?.endTenant(tenant)
    },
    unverified() {
      const others = (tenant: string): boolean => tenant !== FIRST_TENANT
      for (const loaded of [config, fileTokens]) loaded.endTenants(others, 'changed')
    },
  })
  const file =
    options.tokenFile === null
      ? null
      : new TokenFile(options.tokenFile, {
          clock,
          observe,
          take: (tokens) => fileTokens.replace(tokens.map((token) => knownFromFile(token, tenantDefault))),
        })
  const places: TokenPlaces = { store, issued, config, fileTokens, file, uses, clock, observe, tenantDefault }

  const hasher = options.people ? new PasswordHasher(options.people.argon2) : null
  const common = new CommonLists(options.people?.commonFile ?? null, observe)

  const people =
    options.people && hasher
      ? await openPeople(options, userTokens, options.people.oidc, {
          hasher,
          common,
          policy: options.people.passwords,
          takeOverTenant: (tenant) => deletedTenants.takeOver(tenant),
        })
      : null

  const closeParts = async (): Promise<void> => {
    await people?.signIn.close()
    await hasher?.close()
    expiries.close()
    await file?.close()
    await issued.close()
    await deletedTenants.close()
    await userTokens?.close()
    await uses.close()
  }

  try {
    await deletedTenants.start()
    config.replace(readStaticTokens(options.staticTokens))
    if (serving) warnOfDeleted(config, deletedTenants, observe)
    await common.open()
    await file?.open()
    await issued.start()
    await userTokens?.start()
    if (serving) {
      await userTokens?.cleanUp()
      await cleanUp(places, observe)
      await file?.watch()
      uses.start()
    }
  } catch (fault) {
    await closeParts()
    throw fault
  }

  let closed = false
  return {
    authenticator: options.enabled
      ? createAuthenticator({ loaded: [config, fileTokens], issued, userTokens, deletedTenants, uses, clock })
      : anonymousAuthenticator(tenantDefault),
    tokens: {
      add: addToken(places),
      find: findMeant(places),
      list: listAllTokens(places),
      rotate: rotateToken(places),
      remove: removeToken(places),
    },
    people,
    lifelines,
    reload(staticTokens) {
      config.replace(readStaticTokens(staticTokens))
      warnOfDeleted(config, deletedTenants, observe)
      void common.reload()
      void userTokens?.reloadKeys()
    },
    bootstrapAdmin: () => bootstrapAdmin(places),
    ready: () =>
      !closed &&
      [issued, deletedTenants, ...(userTokens === null ? [] : [userTokens])].every((one) =>
        one.ready(clock.now()),
      ),
    async close() {
      closed = true
      lifelines.endAll('shutdown')
      await closeParts()
    },
  }
}

/** Silence would be taken for a token that works. */
function warnOfDeleted(config: LoadedTokens, deleted: DeletedTenants, observe: Observe): void {
  for (const { caller } of config.all) {
    const { tenant } = caller.grant
    if (!deleted.knows(tenant)) continue
    const message = `the token "${caller.credential.name}" is of the tenant "${tenant}", which was deleted: it lets nobody in`
    observe({ kind: 'config.warning', message })
  }
}
