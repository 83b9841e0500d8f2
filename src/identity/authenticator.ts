import { hash } from 'node:crypto'
import type { Clock } from '../lib/clock.ts'
import { digestsEqual } from '../lib/digest.ts'
import { err, ok } from '../lib/result.ts'
import type { Authentication, Authenticator, Unauthenticated } from './authenticate.ts'
import { parseBearer } from './bearer.ts'
import type { IssuedAnswer, IssuedTokens } from './issued-tokens.ts'
import { type JwtAnswer, looksLikeJwt, type UserTokens } from './jwt/user-tokens.ts'
import type { DeletedTenants } from './deleted-tenants.ts'
import type { Known } from './known.ts'
import type { LoadedTokens } from './loaded-tokens.ts'
import { mayBeToken } from './token-text.ts'
import type { TokenUses } from './token-uses.ts'

type Answer = Authentication | Promise<Authentication>

const refuse = (reason: Unauthenticated['reason']): Authentication => Object.freeze(err({ reason }))

const MISSING = refuse('missing')
const MALFORMED = refuse('malformed')
const UNKNOWN = refuse('unknown')

/**
 * Looks a credential up by its SHA-256 in each source: configuration, token file, store. The first that
 * knows it decides. What looks like a JWT and is none of these is judged as one.
 */
export function createAuthenticator(parts: {
  readonly loaded: readonly LoadedTokens[]
  readonly issued: IssuedTokens
  /** `null` where nobody signs in. */
  readonly userTokens: Pick<UserTokens, 'find'> | null
  readonly deletedTenants: Pick<DeletedTenants, 'has'>
  readonly uses: TokenUses
  readonly clock: Clock
}): Authenticator {
  const { loaded, issued, userTokens, deletedTenants, uses, clock } = parts

  /** `digest` is what came; the one in `known` is what a map found. Comparing them is what counts. */
  const admit = (digest: string, known: Known, now: number): Answer => {
    if (!digestsEqual(digest, known.hash)) return UNKNOWN
    const { id, kind, expiresAt } = known.caller.credential
    if (expiresAt !== null && expiresAt <= now) return err({ reason: 'expired', credentialId: id })
    // Configuration and token file may still name one.
    const deleted = deletedTenants.has(known.caller.grant.tenant, now)
    const settle = (isDeleted: boolean): Authentication => {
      if (isDeleted) return err({ reason: 'revoked', credentialId: id })
      // A sign-in is over within hours, and its date would be kept for years.
      if (kind !== 'jwt') uses.note(id, now)
      return ok(known.caller)
    }
    return deleted instanceof Promise ? deleted.then(settle) : settle(deleted)
  }

  const judge = (digest: string, answer: IssuedAnswer, now: number): Answer => {
    if (answer.status === 'known') return admit(digest, answer.known, now)
    if (answer.status === 'revoked') return err({ reason: 'revoked', credentialId: answer.credentialId })
    return UNKNOWN
  }

  const judgeJwt = (digest: string, answer: JwtAnswer, now: number): Answer => {
    if (answer.status === 'known') return admit(digest, answer.known, now)
    if (answer.status === 'unknown') return UNKNOWN
    return err({ reason: answer.status, credentialId: answer.credentialId })
  }

  return {
    authenticate(authorization) {
      if (authorization === undefined) return MISSING
      const token = parseBearer(authorization)
      if (token === undefined) return MALFORMED
      const digest = hash('sha256', token, 'hex')
      const now = clock.now()
      for (const source of loaded) {
        const known = source.find(digest)
        if (known) return admit(digest, known, now)
      }
      if (!mayBeToken(token)) return UNKNOWN
      if (userTokens && looksLikeJwt(token)) {
        const answer = userTokens.find(token, digest, now)
        if (!(answer instanceof Promise)) return judgeJwt(digest, answer, now)
        return answer.then((late) => judgeJwt(digest, late, clock.now()))
      }
      const answer = issued.find(digest, now)
      if (!(answer instanceof Promise)) return judge(digest, answer, now)
      return answer.then((late) => judge(digest, late, clock.now()))
    },
  }
}
