import { createHash, webcrypto } from 'node:crypto'

type Key = webcrypto.CryptoKey

/** Keys by their `kid`. One signs; the others still verify what they signed before. */
export interface KeyRing {
  readonly signing: { readonly kid: string; readonly key: Key }
  /** Only of names in this map: a `kid` is never a path, a URL or a part of a query. */
  find(kid: string): Key | undefined
}

/** @param secrets the first one signs */
export async function openKeyRing(secrets: readonly [Buffer, ...Buffer[]]): Promise<KeyRing> {
  const keys = new Map<string, Key>()
  for (const secret of secrets) {
    const kid = kidOf(secret)
    if (!keys.has(kid)) keys.set(kid, await importSecret(secret))
  }
  const [first] = keys
  if (!first) throw new TypeError('a key ring has one key at least')
  const [kid, key] = first
  return { signing: { kid, key }, find: (name) => keys.get(name) }
}

/** Names a key without telling anything of it. */
const kidOf = (secret: Buffer): string =>
  createHash('sha256').update('postern jwt key\0').update(secret).digest('hex').slice(0, 16)

const importSecret = (secret: Buffer): Promise<Key> =>
  webcrypto.subtle.importKey('raw', new Uint8Array(secret), { name: 'HMAC', hash: 'SHA-256' }, false, [
    'sign',
    'verify',
  ])
