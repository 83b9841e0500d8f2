import { SignJWT } from 'jose'
import { Secret } from '../../lib/secret.ts'
import { type Claims, type JwtRules, TYPE } from './claims.ts'
import type { KeyRing } from './key-ring.ts'

export async function signJwt(claims: Claims, { signing }: KeyRing, rules: JwtRules): Promise<Secret> {
  const { namespace: ns } = rules
  const token = await new SignJWT({
    [`${ns}.tenant_id`]: claims.tenant,
    [`${ns}.admin`]: claims.admin,
    [`${ns}.epoch`]: claims.epoch,
  })
    .setProtectedHeader({ alg: signing.algorithm, typ: TYPE, kid: signing.kid })
    .setSubject(claims.userId)
    .setIssuer(rules.issuer)
    .setAudience(rules.audience)
    .setJti(claims.jti)
    .setIssuedAt(claims.issuedAt)
    .setExpirationTime(claims.expiresAt)
    .sign(signing.key)
  return new Secret(token)
}
