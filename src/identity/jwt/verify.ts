import { decodeProtectedHeader, errors, jwtVerify, type JWTPayload } from 'jose'
import { err, ok, type Result } from '../../lib/result.ts'
import { type Claims, type JwtRules, TYPE } from './claims.ts'
import type { KeyRing } from './key-ring.ts'

export interface JwtProblem {
  /** `expired`: ours in every other respect. `unknown_key`: its key is not in the ring, or no more. */
  readonly reason: 'unknown' | 'unknown_key' | 'expired'
  readonly jti?: string
}

export interface VerifiedJwt {
  readonly claims: Claims
  /** Of the key that verified it. */
  readonly kid: string
}

/**
 * Judges a JWT: a key of the ring by its `kid`, the one algorithm of that key, `iss`, `aud` and `typ` to the letter, `exp` there and
 * in the future by this very second. The header chooses nothing: `alg: none`, `jwk`, `jku`, `x5u` and `crit` lead
 * nowhere (RFC 8725 §3.1, §3.5).
 *
 * @param now milliseconds since the epoch
 */
export async function verifyJwt(
  token: string,
  ring: KeyRing,
  rules: JwtRules,
  now: number,
): Promise<Result<VerifiedJwt, JwtProblem>> {
  try {
    const { kid } = decodeProtectedHeader(token)
    const found = typeof kid === 'string' ? ring.find(kid, now) : undefined
    if (kid === undefined || !found) return err({ reason: 'unknown_key' })
    const { payload } = await jwtVerify(token, found.key, {
      // A public key is no secret, and a retired key is of no other algorithm than it was (RFC 8725 §2.1, §3.1).
      algorithms: [found.algorithm],
      typ: TYPE,
      issuer: rules.issuer,
      audience: rules.audience,
      requiredClaims: ['sub', 'jti', 'iat', 'exp'],
      clockTolerance: 0,
      currentDate: new Date(now),
    })
    const claims = readClaims(payload, rules.namespace)
    return claims ? ok({ claims, kid }) : err({ reason: 'unknown' })
  } catch (error) {
    if (error instanceof errors.JWTExpired) {
      const { jti } = error.payload
      return err({ reason: 'expired', ...(typeof jti === 'string' ? { jti } : {}) })
    }
    // `TypeError`: what stands before the first dot is no header.
    if (error instanceof errors.JOSEError || error instanceof TypeError) return err({ reason: 'unknown' })
    throw error
  }
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

function readClaims(payload: JWTPayload, ns: string): Claims | undefined {
  const { sub, jti, iat, exp, aud } = payload
  const tenant = payload[`${ns}.tenant_id`]
  const admin = payload[`${ns}.admin`]
  const epoch = payload[`${ns}.epoch`]
  // A token for several audiences was not made here.
  if (typeof aud !== 'string' || typeof sub !== 'string' || typeof jti !== 'string') return undefined
  if (!isCount(iat) || !isCount(exp) || !isCount(epoch)) return undefined
  if (typeof tenant !== 'string' || typeof admin !== 'boolean') return undefined
  return { userId: sub, tenant, admin, epoch, jti, issuedAt: iat, expiresAt: exp }
}
