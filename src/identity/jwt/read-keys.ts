import { hasCode, systemCode } from '../../lib/system-code.ts'
import { type FileContent, readWhole, stampOf, UnfitFile } from '../files/read.ts'
import type { JwtAlgorithm } from './algorithm.ts'
import { KeyProblem, LONGEST_KEY_FILE, readSigningKey, type SigningKey } from './key.ts'
import { LONGEST_RING_FILE, parseRingFile, type Ring } from './ring-file.ts'

/** Where the key that signs is. */
export interface KeySource {
  /** Absolute path. */
  readonly file: string
  readonly algorithm: JwtAlgorithm
}

/** The key and its ring, read together. */
export interface KeysOnDisk {
  readonly signing: SigningKey
  /** Of several, the one that names the signing key counts. */
  readonly rings: readonly Ring[]
  /** Of both files: compares equal only when nothing was changed. */
  readonly stamp: string
  /** Of the key file. */
  readonly inode: string
  /** Permission bits of the key file. */
  readonly mode: number
}

/** Why key files are not used: a whole sentence that names the file and what to do, and quotes nothing of it. */
export class KeyFileProblem extends Error {
  /** It could be read, by nobody who should not, and is not what it should be. */
  readonly isContent: boolean

  constructor(message: string, options: { readonly isContent?: boolean; readonly cause?: unknown } = {}) {
    super(message, options)
    this.isContent = options.isContent ?? false
  }
}

/** Beside the key. */
export const ringFileOf = ({ file }: Pick<KeySource, 'file'>): string => `${file}.ring`

/** As a message names it. */
export const keyFileName = ({ algorithm }: Pick<KeySource, 'algorithm'>): string =>
  algorithm === 'HS256' ? 'the JWT secret' : 'the JWT key'

export const RING_FILE_NAME = 'the JWT key ring'

/**
 * Reads the key, then the ring. A rotation writes the ring that goes with the new key before that key, and tidies it
 * up afterwards: so a ring that is read after its key, while the key stays, has all that goes with it.
 *
 * @param read for a key file of another kind than is configured
 * @returns `null` when there is no key, `undefined` when something changed while it was read
 * @throws KeyFileProblem
 */
export async function readKeys(
  source: KeySource,
  read: (bytes: Buffer) => SigningKey = (bytes) => readSigningKey(bytes, source.algorithm),
): Promise<KeysOnDisk | null | undefined> {
  const { file } = source
  const key = await readPrivate(keyFileName(source), file, LONGEST_KEY_FILE)
  if (!key) return key
  const ring = await readPrivate(RING_FILE_NAME, ringFileOf(source), LONGEST_RING_FILE)
  if (ring === undefined || (await stampOf(file)).text !== key.stamp.text) return undefined
  return {
    signing: judge(keyFileName(source), file, () => read(key.bytes)),
    rings: ring === null ? [] : judge(RING_FILE_NAME, ringFileOf(source), () => parseRingFile(ring.bytes)),
    stamp: joined(key.stamp.text, ring?.stamp.text ?? null),
    inode: key.stamp.inode,
    mode: key.stamp.mode,
  }
}

/** The stamp that `readKeys` would give. @throws the system's error */
export async function stampOfKeys(
  source: KeySource,
): Promise<{ readonly text: string; readonly inode: string }> {
  const [key, ring] = await Promise.all([stampOf(source.file), stampOf(ringFileOf(source))])
  return { text: joined(key.text, ring.text), inode: key.inode }
}

const joined = (key: string | null, ring: string | null): string => `${key ?? 'none'} ${ring ?? 'none'}`

/** `null` for no file, `undefined` for one that changes. */
async function readPrivate(
  name: string,
  file: string,
  longest: number,
): Promise<FileContent | null | undefined> {
  try {
    const content = await readWhole(file, longest)
    if (!content) return (await stampOf(file)).text === null ? null : undefined
    refuseOthers(name, file, content.stamp.mode)
    return content
  } catch (error) {
    if (error instanceof KeyFileProblem) throw error
    throw new KeyFileProblem(`${name} ${file} cannot be read: ${explain(error)}`, { cause: error })
  }
}

/** Read, written or searched by everybody. */
const OTHERS = 0o007

function refuseOthers(name: string, file: string, mode: number): void {
  if ((mode & OTHERS) === 0) return
  const found = mode.toString(8).padStart(4, '0')
  const word = (mode & 0o004) === 0 ? 'open to everybody' : 'world-readable'
  throw new KeyFileProblem(
    `${name} ${file} is ${word} (mode ${found}): \`chmod 0640 ${file}\` leaves it to its owner and group, as an ` +
      `installed service needs it; \`chmod 0600 ${file}\` leaves it to its owner alone`,
  )
}

function judge<T>(name: string, file: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof KeyProblem)
      throw new KeyFileProblem(`${name} ${file} ${error.message}`, { isContent: true })
    throw error
  }
}

function explain(error: unknown): string {
  if (error instanceof UnfitFile) return error.message
  if (hasCode(error, 'EACCES') || hasCode(error, 'EPERM')) {
    return 'permission denied; name another in auth.jwt, or give it to the account that runs Postern'
  }
  return systemCode(error) ?? 'unknown error'
}
