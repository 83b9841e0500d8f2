import type { Clock } from '../lib/clock.ts'
import type { Observe } from '../observe/observation.ts'
import type { Store } from '../store/open.ts'
import type { Credential } from './caller.ts'
import type { Expiries } from './expiries.ts'
import { KeyFiles } from './jwt/key-files.ts'
import type { PublicJwk } from './jwt/key-ring.ts'
import { type JwtOptions, keySourceOf } from './jwt/options.ts'
import { UserTokens } from './jwt/user-tokens.ts'
import type { Lifelines } from './lifelines.ts'
import type { EndCredential } from './loaded-tokens.ts'
import { createLinks, type Links } from './oidc/links.ts'
import { noSignIn } from './oidc/no-sign-in.ts'
import type { OidcOptions, SignIn } from './oidc/sign-in.ts'
import type { CommonFile } from './passwords/common.ts'
import type { HashCost } from './passwords/hasher.ts'
import type { PasswordPolicy } from './passwords/policy.ts'
import { createLogin, type Login, type LoginParts } from './users/login.ts'
import { LoginLimits } from './users/login-limits.ts'
import { type ChangeOwnPassword, changeOwnPassword } from './users/own-password.ts'
import type { UserPlaces } from './users/user-places.ts'
import type { Users } from './users/user.ts'
import { createUsers } from './users/users.ts'

/** How people sign in. */
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

interface PeopleRoom {
  readonly store: Store
  readonly clock: Clock
  readonly observe: Observe
  readonly tenantDefault: string
}

/** @throws Fault `config_invalid`, `data_dir_unusable` for the files of the keys */
export async function openUserTokens(
  { store, clock, observe }: Pick<PeopleRoom, 'store' | 'clock' | 'observe'>,
  rules: JwtOptions,
  parts: { readonly lifelines: Lifelines; readonly expiries: Expiries; readonly end: EndCredential },
): Promise<UserTokens> {
  const keys = await KeyFiles.open(keySourceOf(rules), { clock, observe })
  return new UserTokens({ store, clock, observe, ...parts, keys, rules })
}

export async function openPeople(
  { store, clock, observe, tenantDefault }: PeopleRoom,
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
