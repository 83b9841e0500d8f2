import { readdir, stat, unlink } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { Fault } from '../../lib/fault.ts'
import { withFileLock } from '../files/lock.ts'
import { draftPrefix, replaceFile, resolveTarget } from '../files/replace.ts'
import type { JwtAlgorithm } from './algorithm.ts'
import type { RetiredKey } from './key-ring.ts'
import { newKey, readKeyPair, readSecret, readSigningKey, type SigningKey, verifyingHalf } from './key.ts'
import {
  keyFileName,
  KeyFileProblem,
  type KeysOnDisk,
  type KeySource,
  readKeys,
  RING_FILE_NAME,
  ringFileOf,
} from './read-keys.ts'
import { formatRingFile, type Ring } from './ring-file.ts'

/** A server may sign with the old key for a moment after it was replaced. Milliseconds. */
const TAKE_OVER_MS = 60_000

const READ_ATTEMPTS = 20
const READ_RETRY_MS = 25

export interface RotateOptions {
  readonly source: KeySource
  /**
   * The key that signed before `auth.jwt.algorithm` was changed. It is kept with its ring, in place of what the file has.
   * Not together with `end`.
   */
  readonly before?: KeySource
  /** How long a token is good that the old key has just signed. */
  readonly ttlSeconds: number
  /** Throws all older keys away, and so ends every token. */
  readonly end: boolean
  /** Milliseconds since the epoch. */
  readonly now: number
}

export interface Rotation {
  readonly signing: { readonly kid: string; readonly algorithm: JwtAlgorithm }
  readonly retired: readonly RetiredKey[]
}

/**
 * Puts a new key in the place of the one that signs. What is written first is the ring that goes with the new key,
 * beside the one that goes with the old; then the key file is replaced in one step, and with it everything is in force;
 * then the ring is tidied up. Whoever is stopped in between leaves the old state or the new one, whole.
 *
 * @throws Fault `config_invalid` when the files cannot be used as they are, `data_dir_unusable` when they cannot be
 *   written
 */
export async function rotateKeys(options: RotateOptions): Promise<Rotation> {
  const { source, end } = options
  const what = keyFileName(source)
  const bytes = await newKey(source.algorithm)
  const next = readSigningKey(bytes, source.algorithm)
  const target = await resolveTarget(what, source.file)
  const ringTarget = await resolveTarget(RING_FILE_NAME, ringFileOf(source))
  return await withFileLock(target, async () => {
    await removeDrafts(target)
    await removeDrafts(ringTarget)
    const current = await readNow(source, end)
    const before = options.before ? await readNow(options.before, false) : null
    if (before === null && options.before) {
      throw new KeyFileProblem(`${keyFileName(options.before)} ${options.before.file} is missing`)
    }
    // Not both: what lies in the file of an algorithm that was not in use may have been thrown away long ago.
    const retired = end ? [] : retiredNow(before ?? current, options)
    const place = await stat(target).catch(() => undefined)
    const mode = place ? place.mode & 0o770 : (before?.mode ?? 0o600)
    // Made by root, a first key would be of no use to the service.
    const like = place ? target : (options.before?.file ?? dirname(target))
    const write = async (file: string, content: string | Uint8Array, name: string): Promise<void> => {
      await replaceFile(file, content, { what: name, mode, like, keepOwner: true })
    }
    const ring = { signing: next.kid, retired }
    await write(ringTarget, formatRingFile([...ringsNow(current), ring]), RING_FILE_NAME)
    await write(target, bytes, what)
    await write(ringTarget, formatRingFile([ring]), RING_FILE_NAME)
    return { signing: { kid: next.kid, algorithm: next.algorithm }, retired }
  }).catch((error: unknown) => {
    if (error instanceof KeyFileProblem)
      throw new Fault('config_invalid', `the keys stay as they are: ${error.message}`, { cause: error })
    throw error
  })
}

/** The keys of any kind: what is replaced may be of another algorithm than what replaces it. */
async function readNow(source: KeySource, end: boolean): Promise<KeysOnDisk | null> {
  const read =
    source.algorithm === 'HS256'
      ? readSecret
      : (bytes: Buffer): SigningKey => readKeyPair(bytes.toString('latin1'))
  for (let attempt = 1; attempt <= READ_ATTEMPTS; attempt += 1) {
    try {
      const keys = await readKeys(source, read)
      if (keys !== undefined) return keys
    } catch (error) {
      // Of what is thrown away, nothing needs to be understood; but a file that others can read, they could again.
      if (end && error instanceof KeyFileProblem && error.isContent) return null
      throw error
    }
    await delay(READ_RETRY_MS)
  }
  throw new KeyFileProblem(`${keyFileName(source)} ${source.file} changes all the time`)
}

/** What the ring in force keeps, and the key that signs now: the youngest first. */
function retiredNow(keys: KeysOnDisk | null, { now, ttlSeconds }: RotateOptions): readonly RetiredKey[] {
  if (!keys) return []
  const until = now + ttlSeconds * 1_000 + TAKE_OVER_MS
  const [ring] = ringsNow(keys)
  const older = ring?.retired.filter((one) => one.until > now && one.key.kid !== keys.signing.kid) ?? []
  return [{ key: verifyingHalf(keys.signing), until }, ...older]
}

/** The one ring that is in force, as a list. */
const ringsNow = (keys: KeysOnDisk | null): readonly Ring[] =>
  keys?.rings.filter(({ signing }) => signing === keys.signing.kid) ?? []

/** Whoever held the lock before and was stopped may have left a key behind that was never in force. */
async function removeDrafts(target: string): Promise<void> {
  const directory = dirname(target)
  const prefix = draftPrefix(target)
  for (const name of await readdir(directory).catch(() => [])) {
    if (name.startsWith(prefix) && /^[0-9a-f]{12}\.tmp$/.test(name.slice(prefix.length)))
      await unlink(join(directory, name)).catch(() => undefined)
  }
}
