import { sha256Hex } from '../lib/digest.ts'

/** What the first entry of a chain names as the hash of the one before. */
export const GENESIS_HASH = '0'.repeat(64)

/** One link: the text that was hashed is the text that is stored, so verifying needs no re-encoding. */
export interface AuditLink {
  /** Counts from 1 without gaps. */
  readonly seq: number
  /** Milliseconds since the epoch. */
  readonly at: number
  /** The event as JSON. */
  readonly entry: string
  readonly previousHash: string
  readonly hash: string
}

/** The hash covers the place in the chain, too: an entry moved elsewhere no longer fits. */
export function linkHash(seq: number, previousHash: string, entry: string): string {
  return sha256Hex(`${seq}\n${previousHash}\n${entry}`)
}

/** An entry that has no place in the chain yet. */
export interface UnlinkedEntry {
  /** Milliseconds since the epoch. */
  readonly at: number
  /** The event as JSON. */
  readonly entry: string
}

/** Links entries to a chain whose last one is `seq` with `hash`. */
export function linkEntries(
  entries: readonly UnlinkedEntry[],
  head: { readonly seq: number; readonly hash: string },
): readonly AuditLink[] {
  let { seq, hash } = head
  return entries.map(({ at, entry }) => {
    seq += 1
    const previousHash = hash
    hash = linkHash(seq, previousHash, entry)
    return { seq, at, entry, previousHash, hash }
  })
}
