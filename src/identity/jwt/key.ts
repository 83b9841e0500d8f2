import {
  createHash,
  createPrivateKey,
  createPublicKey,
  generateKeyPair,
  type KeyObject,
  randomBytes,
} from 'node:crypto'
import { promisify } from 'node:util'
import type { JwtAlgorithm } from './algorithm.ts'

/** RFC 7518 §3.2 asks for 32 bytes for HS256; twice that is what `openssl` and others make for it. */
export const SECRET_BYTES = 64
const SHORTEST_SECRET_BYTES = 32
const LONGEST_SECRET_BYTES = 4_096

/** RFC 7518 §3.3 asks for 2,048 bits at least; signing with more than 8,192 would hold up everybody. */
const SHORTEST_RSA_BITS = 2_048
const LONGEST_RSA_BITS = 8_192
const NEW_RSA_BITS = 3_072

/** Longer than a key of 8,192 bits is in PEM. Bytes. */
export const LONGEST_KEY_FILE = 16_384

/** A secret, as bytes. Who verifies with it could sign with it. */
export interface SecretKey {
  readonly kid: string
  readonly algorithm: 'HS256'
  readonly secret: Buffer
}

/** All that is needed to verify, and all that is kept of a retired key. */
export interface PublicKey {
  readonly kid: string
  readonly algorithm: 'RS256' | 'EdDSA'
  readonly publicKey: KeyObject
}

export interface KeyPair extends PublicKey {
  readonly privateKey: KeyObject
}

/** A key that signs. Each is for one algorithm, for as long as it exists. */
export type SigningKey = SecretKey | KeyPair

/** A key that verifies. */
export type VerifyingKey = SecretKey | PublicKey

/** Why something is no key. The message goes after the name of the file, and holds nothing of it. */
export class KeyProblem extends Error {}

/**
 * @param bytes of a key file: the secret itself, or a private key in PKCS#8 PEM
 * @throws KeyProblem
 */
export function readSigningKey(bytes: Buffer, algorithm: JwtAlgorithm): SigningKey {
  if (algorithm === 'HS256') return readSecret(bytes)
  const pair = readKeyPair(bytes.toString('latin1'))
  if (pair.algorithm === algorithm) return pair
  throw new KeyProblem(
    `has a key for ${pair.algorithm}, and auth.jwt.algorithm is ${algorithm}: \`postern key-ring rotate\` puts a new ` +
      'one in its place',
  )
}

export function readSecret(bytes: Buffer): SecretKey {
  if (bytes.length < SHORTEST_SECRET_BYTES || bytes.length > LONGEST_SECRET_BYTES) {
    throw new KeyProblem(
      `has ${bytes.length} bytes, and ${SHORTEST_SECRET_BYTES} to ${LONGEST_SECRET_BYTES} are needed: write 64 random ` +
        'ones into it, or remove it and have it made anew',
    )
  }
  // A public key is known to everybody: as a secret it would let everybody sign.
  if (bytes.subarray(0, 11).toString('latin1') === '-----BEGIN ') {
    throw new KeyProblem('has a key in PEM, which is no secret for HS256: name it with auth.jwt.keyFile')
  }
  return { kid: kidOf('postern jwt key\0', bytes), algorithm: 'HS256', secret: Buffer.from(bytes) }
}

/** @param pem of an RSA or an Ed25519 key: what it is decides what it is for */
export function readKeyPair(pem: string): KeyPair {
  const privateKey = parse(pem, 'PRIVATE KEY', createPrivateKey)
  return { ...publicHalf(createPublicKey(privateKey)), privateKey }
}

export function readPublicKey(pem: string): PublicKey {
  return publicHalf(parse(pem, 'PUBLIC KEY', createPublicKey))
}

/** What a retired key is good for: of a pair, the public half alone. */
export const verifyingHalf = (key: SigningKey): VerifyingKey =>
  key.algorithm === 'HS256' ? key : { kid: key.kid, algorithm: key.algorithm, publicKey: key.publicKey }

/** The content of a new key file. */
export async function newKey(algorithm: JwtAlgorithm): Promise<Buffer> {
  if (algorithm === 'HS256') return randomBytes(SECRET_BYTES)
  const generate = promisify(generateKeyPair)
  const { privateKey } =
    algorithm === 'RS256' ? await generate('rsa', { modulusLength: NEW_RSA_BITS }) : await generate('ed25519')
  return Buffer.from(privateKey.export({ type: 'pkcs8', format: 'pem' }))
}

/** One block of the very kind that is wanted: Node would take a private key for a public one. */
function parse(
  pem: string,
  label: 'PRIVATE KEY' | 'PUBLIC KEY',
  read: (pem: string) => KeyObject,
): KeyObject {
  const form = label === 'PRIVATE KEY' ? 'a private key in PKCS#8 PEM' : 'a public key in PEM'
  if (/-----BEGIN ENCRYPTED /.test(pem))
    throw new KeyProblem(`has a passphrase, and ${form} without one is needed`)
  if (!new RegExp(`^-----BEGIN ${label}-----[^-]+-----END ${label}-----\\s*$`).test(pem))
    throw new KeyProblem(`does not hold ${form}`)
  try {
    return read(pem)
  } catch {
    // The cause would quote what OpenSSL thinks of the content.
    throw new KeyProblem(`does not hold ${form}`)
  }
}

function publicHalf(publicKey: KeyObject): PublicKey {
  const kid = kidOf('postern jwt public key\0', publicKey.export({ type: 'spki', format: 'der' }))
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = publicKey
  if (type === 'ed25519') return { kid, algorithm: 'EdDSA', publicKey }
  // `rsa-pss` is another algorithm than RS256.
  if (type !== 'rsa') throw new KeyProblem('has a key that is neither RSA (RS256) nor Ed25519 (EdDSA)')
  const bits = details?.modulusLength ?? 0
  if (bits >= SHORTEST_RSA_BITS && bits <= LONGEST_RSA_BITS) return { kid, algorithm: 'RS256', publicKey }
  throw new KeyProblem(
    `has an RSA key of ${bits} bits, and ${SHORTEST_RSA_BITS} to ${LONGEST_RSA_BITS} are needed`,
  )
}

/** Names a key without telling anything of it. */
const kidOf = (prefix: string, material: Buffer): string =>
  createHash('sha256').update(prefix).update(material).digest('hex').slice(0, 16)
