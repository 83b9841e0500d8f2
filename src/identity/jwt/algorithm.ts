/** `HS256`: one secret signs and verifies. The others sign with a private key that nobody else needs (RFC 7518, 8037). */
export const JWT_ALGORITHMS = ['HS256', 'RS256', 'EdDSA'] as const

export type JwtAlgorithm = (typeof JWT_ALGORITHMS)[number]
