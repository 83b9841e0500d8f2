import { createSecretKey, type webcrypto } from 'node:crypto'
import type { JwtAlgorithm } from './algorithm.ts'
import type { SigningKey, VerifyingKey } from './key.ts'

type CryptoKey = webcrypto.CryptoKey

/** A key that signs no more, and when the last token that it signed has expired. Milliseconds since the epoch. */
export interface RetiredKey {
  readonly key: VerifyingKey
  readonly until: number
}

/** A public key as RFC 7517 §4 has it: nothing in here could sign. */
export interface PublicJwk {
  readonly kid: string
  readonly use: 'sig'
  readonly alg: JwtAlgorithm
  readonly kty: string
  readonly n?: string
  readonly e?: string
  readonly crv?: string
  readonly x?: string
}

/** Keys by their `kid`, as they are in force together. One signs; the others still verify what they signed before. */
export interface KeyRing {
  readonly signing: { readonly kid: string; readonly algorithm: JwtAlgorithm; readonly key: CryptoKey }
  readonly retired: readonly { readonly kid: string; readonly until: number }[]
  /**
   * Only of names in this ring: a `kid` is never a path, a URL or a part of a query.
   *
   * @param now milliseconds since the epoch: a retired key is gone from its end on
   */
  find(kid: string, now: number): { readonly algorithm: JwtAlgorithm; readonly key: CryptoKey } | undefined
  /** The keys with which others can verify; none of HS256. */
  publicKeys(now: number): readonly PublicJwk[]
}

/** @param retired one that signs again is no longer retired */
export function createKeyRing(signing: SigningKey, retired: readonly RetiredKey[]): KeyRing {
  const old = retired.filter(({ key }) => key.kid !== signing.kid)
  const keys = new Map(
    [{ key: signing as VerifyingKey, until: Infinity }, ...old].map(({ key, until }) => [
      key.kid,
      { algorithm: key.algorithm, key: importVerifying(key), until, jwk: publicJwk(key) },
    ]),
  )
  return {
    signing: { kid: signing.kid, algorithm: signing.algorithm, key: importSigning(signing) },
    retired: old.map(({ key, until }) => ({ kid: key.kid, until })),
    find(kid, now) {
      const found = keys.get(kid)
      return found && found.until > now ? found : undefined
    },
    publicKeys: (now) =>
      [...keys.values()].flatMap(({ jwk, until }) => (jwk !== undefined && until > now ? [jwk] : [])),
  }
}

/** The algorithm becomes a part of the key, so that even a mistake elsewhere could not use it for another one. */
const IMPORTS = {
  HS256: { name: 'HMAC', hash: 'SHA-256' },
  RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
  EdDSA: { name: 'Ed25519' },
} as const

const importSigning = (key: SigningKey): CryptoKey =>
  (key.algorithm === 'HS256' ? createSecretKey(key.secret) : key.privateKey).toCryptoKey(
    IMPORTS[key.algorithm],
    false,
    ['sign'],
  )

const importVerifying = (key: VerifyingKey): CryptoKey =>
  (key.algorithm === 'HS256' ? createSecretKey(key.secret) : key.publicKey).toCryptoKey(
    IMPORTS[key.algorithm],
    false,
    ['verify'],
  )

/** Each member by its name: what an export has beside them is not passed on. */
function publicJwk(key: VerifyingKey): PublicJwk | undefined {
  if (key.algorithm === 'HS256') return undefined
  const { kty = '', n, e, crv, x } = key.publicKey.export({ format: 'jwk' })
  const about = { kid: key.kid, use: 'sig', alg: key.algorithm, kty } as const
  if (key.algorithm === 'RS256' && n !== undefined && e !== undefined) return { ...about, n, e }
  if (key.algorithm === 'EdDSA' && crv !== undefined && x !== undefined) return { ...about, crv, x }
  throw new TypeError(`a public key for ${key.algorithm} without its members`)
}
