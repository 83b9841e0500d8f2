/** How JWTs are made and judged. */
export interface JwtRules {
  /** Before the claims that are our own: `postern.tenant_id`. */
  readonly namespace: string
  /** `iss` (RFC 7519 §4.1.1). */
  readonly issuer: string
  /** `aud` (RFC 7519 §4.1.3). */
  readonly audience: string
  /** From issue to expiry. */
  readonly ttlSeconds: number
}

/** What a JWT of ours says. Times are seconds since the epoch, as RFC 7519 has them. */
export interface Claims {
  /** The id of the user. */
  readonly userId: string
  readonly tenant: string
  readonly admin: boolean
  /** Of the user when it was issued: a later one ends it. */
  readonly epoch: number
  readonly jti: string
  readonly issuedAt: number
  readonly expiresAt: number
}

/** `typ`, so that a JWT made for something else with the same key is not taken for a sign-in. */
export const TYPE = 'JWT'
