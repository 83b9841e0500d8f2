import { isSessionRevision, type SessionRevision } from '../../lib/revisions.ts'
import { type Sealer, sealer } from '../../lib/seal.ts'

/** What a session id says to whoever holds the key. */
export interface SealedSession {
  readonly credentialId: string
  readonly server: string
  readonly revision: SessionRevision
  /** The id of the server's own session; empty where it gave none. */
  readonly upstreamId: string
}

/** What is sealed here is a session id, and opens nowhere else. */
const PLACE = ['mcp.session']

/** No id that was sealed here is longer; a longer one is not worth deciphering. */
const LONGEST_ID = 2_048

/** Session ids that carry what they stand for, encrypted and authenticated. */
export class SessionSeal {
  readonly #sealer: Sealer

  constructor(key: Uint8Array) {
    this.#sealer = sealer(key)
  }

  close({ credentialId, server, revision, upstreamId }: SealedSession): string {
    return this.#sealer.seal(JSON.stringify([credentialId, server, revision, upstreamId]), PLACE)
  }

  /** `undefined` for an id that was not sealed with this key. */
  open(id: string): SealedSession | undefined {
    if (!isSealed(id) || id.length > LONGEST_ID || !isCanonical(id)) return undefined
    const opened = this.#sealer.open(id, PLACE)
    return opened.ok ? read(JSON.parse(opened.value)) : undefined
  }
}

/** Ids that Postern makes up hold no full stop, so the two kinds cannot be taken for each other. */
export const isSealed = (id: string): boolean => id.startsWith('s1.')

/** Base64 has several spellings of the same bytes; only ours is the id, or one session would have many names. */
function isCanonical(id: string): boolean {
  const text = id.slice(id.lastIndexOf('.') + 1)
  return Buffer.from(text, 'base64url').toString('base64url') === text
}

function read(value: unknown): SealedSession | undefined {
  if (!Array.isArray(value)) return undefined
  const [credentialId, server, revision, upstreamId] = value as readonly unknown[]
  return typeof credentialId === 'string' &&
    typeof server === 'string' &&
    typeof revision === 'string' &&
    isSessionRevision(revision) &&
    typeof upstreamId === 'string'
    ? { credentialId, server, revision, upstreamId }
    : undefined
}
