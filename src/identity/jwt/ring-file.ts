import type { RetiredKey } from './key-ring.ts'
import { KeyProblem, readPublicKey, readSecret, type VerifyingKey } from './key.ts'
import { z } from 'zod'

/** Twice as many retired keys as there may be, of the longest kind. Bytes. */
export const LONGEST_RING_FILE = 2 * 1_048_576

/** More rotations than this within the life of a token are not meant. */
const MOST_RETIRED = 100

/**
 * Retired keys, and the key that signs beside them. With another one they do not count: so a key file that was
 * replaced by hand ends every token, and one write of the key file puts a whole rotation in force.
 */
export interface Ring {
  /** The `kid` of the key that signs. */
  readonly signing: string
  readonly retired: readonly RetiredKey[]
}

const KID = z.string().regex(/^[0-9a-f]{16}$/)
const UNTIL = z.iso.datetime()
const ENTRY = z.discriminatedUnion('algorithm', [
  z.strictObject({ kid: KID, algorithm: z.literal('HS256'), until: UNTIL, secret: z.base64() }),
  z.strictObject({
    kid: KID,
    algorithm: z.enum(['RS256', 'EdDSA']),
    until: UNTIL,
    public_key: z.string(),
  }),
])
const FILE = z.strictObject({
  format: z.literal(1),
  // Two while a rotation is under way: the one before it, and the one after it.
  rings: z.array(z.strictObject({ signing: KID, retired: z.array(ENTRY).max(MOST_RETIRED) })).max(2),
})

/** @throws KeyProblem: nothing of the file counts where one entry is wrong */
export function parseRingFile(bytes: Buffer): readonly Ring[] {
  let json: unknown
  try {
    json = JSON.parse(bytes.toString('utf8'))
  } catch {
    throw new KeyProblem('is not whole')
  }
  const file = FILE.safeParse(json)
  if (!file.success) {
    const place = file.error.issues[0]?.path.join('.')
    throw new KeyProblem(`is not as \`postern key-ring rotate\` writes it${place ? `, at ${place}` : ''}`)
  }
  return file.data.rings.map(({ signing, retired }) => ({ signing, retired: readEntries(retired) }))
}

function readEntries(entries: readonly z.infer<typeof ENTRY>[]): readonly RetiredKey[] {
  if (new Set(entries.map(({ kid }) => kid)).size !== entries.length) throw new KeyProblem('has a kid twice')
  return entries.map((entry) => {
    const key: VerifyingKey =
      entry.algorithm === 'HS256'
        ? readSecret(Buffer.from(entry.secret, 'base64'))
        : readPublicKey(entry.public_key)
    // The name belongs to the key: under another one it would verify what was signed for another algorithm.
    if (key.kid !== entry.kid) throw new KeyProblem(`has another key under the kid ${entry.kid}`)
    if (key.algorithm !== entry.algorithm)
      throw new KeyProblem(`has key ${entry.kid} under another algorithm`)
    return { key, until: Date.parse(entry.until) }
  })
}

export function formatRingFile(rings: readonly Ring[]): string {
  const file: z.infer<typeof FILE> = {
    format: 1,
    rings: rings.map(({ signing, retired }) => ({
      signing,
      // The youngest first; the oldest is the one to lose.
      retired: retired.slice(0, MOST_RETIRED).map(({ key, until }) => ({
        kid: key.kid,
        until: new Date(until).toISOString(),
        ...(key.algorithm === 'HS256'
          ? { algorithm: key.algorithm, secret: key.secret.toString('base64') }
          : {
              algorithm: key.algorithm,
              public_key: String(key.publicKey.export({ type: 'spki', format: 'pem' })),
            }),
      })),
    })),
  }
  return `${JSON.stringify(file, null, 2)}\n`
}
