import type { Clock } from '../lib/clock.ts'
import { DAY_MS } from '../lib/duration.ts'
import { Fault } from '../lib/fault.ts'
import type { Observe } from '../observe/observation.ts'
import type { Store } from '../store/open.ts'
import { deleteTokenUsesBefore } from '../store/token-uses.ts'
import { countValidTokens, deleteEndedTokens } from '../store/tokens.ts'
import { addToken } from './add-token.ts'
import { anonymousAuthenticator } from './anonymous.ts'
import type { Authenticator } from './authenticate.ts'
import { createAuthenticator } from './authenticator.ts'
import { bootstrapAdmin } from './bootstrap.ts'
import type { Credential } from './caller.ts'
import { DeletedTenants } from './deleted-tenants.ts'
import { Expiries } from './expiries.ts'
import { findMeant } from './find-token.ts'
import { FIRST_TENANT } from './first-tenant.ts'
import { IssuedTokens } from './issued-tokens.ts'
import { type JwtOptions, keySourceOf } from './jwt/options.ts'
import { KeyFiles } from './jwt/key-files.ts'
import type { PublicJwk } from './jwt/key-ring.ts'
import { UserTokens } from './jwt/user-tokens.ts'
import { Lifelines } from './lifelines.ts'
import { listAllTokens } from './list-tokens.ts'
import { type EndCredential, LoadedTokens } from './loaded-tokens.ts'
import { createLinks, type Links } from './oidc/links.ts'
import { noSignIn } from './oidc/no-sign-in.ts'
import type { OidcOptions, SignIn } from './oidc/sign-in.ts'
import { type CommonFile, CommonLists } from './passwords/common.ts'
import { type HashCost, PasswordHasher } from './passwords/hasher.ts'
import type { PasswordPolicy } from './passwords/policy.ts'
import { removeToken } from './remove-token.ts'
import { rotateToken } from './rotate-token.ts'
import { readStaticTokens, type StaticToken } from './static-tokens.ts'
import type { FileToken } from './token-file/entry.ts'
import { knownFromFile } from './token-file/known.ts'
import { TokenFile } from './token-file/token-file.ts'
import type { TokenPlaces } from './token-places.ts'
import { TokenUses } from './token-uses.ts'
import type { IssuedToken, Tokens } from './tokens.ts'
import { createLogin, type Login, type LoginParts } from './users/login.ts'
import { LoginLimits } from './users/login-limits.ts'
import { type ChangeOwnPassword, changeOwnPassword } from './users/own-password.ts'
import type { UserPlaces } from './users/user-places.ts'
import type { Users } from './users/user.ts'
import { createUsers } from './users/users.ts'

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

export interface PeopleOptions {
  readonly jwt: JwtOptions
  readonly argon2: HashCost
  readonly passwords: PasswordPolicy
  /** Passwords to refuse, from a list of the operator's own; absent: those of the package. */
  readonly commonFile?: CommonFile
  /** Providers that people sign in with; absent where there is none. */
  readonly oidc?: OidcOptions
}

/** Users and their tenants, and how they come in and go. */
export interface People {
  readonly users: Users
  /** @throws TypeError for `manage`, which signs nobody in */
  readonly login: Login
  /** @throws TypeError for `manage` */
  readonly changePassword: ChangeOwnPassword
  /** With a provider, in place of a password. */
  readonly signIn: SignIn
  /** Which accounts of providers are which users. */
  readonly links: Links
  /**
   * Ends the JWT that a caller shows, before its time. Answers false where somebody did so already.
   *
   * @throws TypeError for a credential of another kind
   */
  logout(credential: Credential): Promise<boolean>
  /** With which others can verify our JWTs; none where one secret signs and verifies. */
  publicKeys(): readonly PublicJwk[]
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

/** Revoked tokens stay on record this long. Milliseconds. */
const KEEP_REVOKED_MS = 365 * DAY_MS

/** Dates of last use older than this are forgotten. Milliseconds. */
const KEEP_USES_MS = 2 * 365 * DAY_MS

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

/** @throws Fault `config_invalid`, `data_dir_unusable` for the files of the keys */
async function openUserTokens(
  { store, clock, observe }: IdentityOptions,
  rules: JwtOptions,
  parts: { readonly lifelines: Lifelines; readonly expiries: Expiries; readonly end: EndCredential },
): Promise<UserTokens> {
  const keys = await KeyFiles.open(keySourceOf(rules), { clock, observe })
  return new UserTokens({ store, clock, observe, ...parts, keys, rules })
}

async function openPeople(
  { store, clock, observe, tenantDefault }: IdentityOptions,
  userTokens: UserTokens | null,
  oidc: OidcOptions | undefined,
  parts: Pick<UserPlaces, 'hasher' | 'common' | 'policy' | 'takeOverTenant'>,
): Promise<People> {
  const places: UserPlaces & LoginParts = {
    ...parts,
    store,
    clock,
    limits: new LoginLimits(clock),
    tenantDefault,
    takeOver: async (row) => await userTokens?.takeOver(row),
    async issue(row) {
      if (!userTokens) throw new TypeError('nobody signs in here')
      return await userTokens.issue(row)
    },
  }
  const signIn = oidc
    ? (await import('./oidc/sign-in.ts')).createSignIn(oidc, { ...places, observe })
    : noSignIn
  return {
    users: createUsers(places),
    login: createLogin(places),
    changePassword: changeOwnPassword(places),
    signIn,
    links: createLinks(places),
    async logout({ id, kind, expiresAt }) {
      if (!userTokens || kind !== 'jwt') throw new TypeError('only a sign-in can be signed out')
      return await userTokens.revoke(id, expiresAt ?? clock.now())
    },
    publicKeys: () => userTokens?.publicKeys() ?? [],
  }
}

/** Removes what has expired from every source that can be written, and says what was loaded. */
async function cleanUp(places: TokenPlaces, observe: Observe): Promise<void> {
  const { store, config, fileTokens, file, clock } = places
  const now = clock.now()
  if (config.size > 0) observe({ kind: 'tokens.loaded', source: 'configuration', count: config.size })
  if (file) {
    observe({ kind: 'tokens.loaded', source: file.path, count: fileTokens.size })
    const removed = await removeExpiredFromFile(file, now, observe)
    if (removed > 0) observe({ kind: 'tokens.expired_removed', source: file.path, count: removed })
  }
  const removed = await store.db
    .transaction()
    .execute(async (trx) => await deleteEndedTokens(trx, now, now - KEEP_REVOKED_MS))
  await deleteTokenUsesBefore(store.db, now - KEEP_USES_MS)
  const count = await countValidTokens(store.db, now)
  observe({ kind: 'tokens.loaded', source: 'store', count })
  if (removed > 0) observe({ kind: 'tokens.expired_removed', source: 'store', count: removed })
}

/** A file that cannot be written, such as a mounted secret, is no reason not to start: what expired is refused anyway. */
async function removeExpiredFromFile(file: TokenFile, now: number, observe: Observe): Promise<number> {
  const isExpired = ({ expiresAt }: FileToken): boolean => expiresAt !== null && expiresAt <= now
  if (!file.tokens.some(isExpired)) return 0
  let expired = new Set<string>()
  try {
    await file.change((tokens) => {
      expired = new Set(tokens.filter(isExpired).map(({ id }) => id))
      return expired.size > 0 ? { remove: expired } : undefined
    })
    return expired.size
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    observe({ kind: 'config.warning', message: `expired tokens were not removed: ${error.message}` })
    return 0
  }
}
