import { randomBytes } from 'node:crypto'
import { link, mkdir, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { Fault } from '../../lib/fault.ts'

/** RFC 7518 §3.2 asks for 32 bytes for HS256; twice that is what `openssl` and others make for it. */
const SECRET_BYTES = 64
const SHORTEST_SECRET_BYTES = 32
const LONGEST_SECRET_BYTES = 4_096

/** Read, written or searched by everybody. */
const OTHERS = 0o007

/**
 * The secret that JWTs are signed with; made where there is none.
 *
 * @param file absolute path; every process that shares the store needs the same bytes in it
 * @throws Fault `config_invalid` when others may read it, or it cannot be used; `data_dir_unusable` when it cannot be
 *   made
 */
export async function openSecretFile(
  file: string,
): Promise<{ readonly secret: Buffer; readonly made: boolean }> {
  const there = await readSecret(file)
  if (there) return { secret: there, made: false }
  const made = await makeSecret(file)
  // Of several processes that start at once, one made it.
  const secret = await readSecret(file)
  if (!secret) throw new Fault('data_dir_unusable', `the JWT secret ${file} went away as it was made`)
  return { secret, made }
}

async function readSecret(file: string): Promise<Buffer | undefined> {
  let secret: Buffer
  try {
    const handle = await open(file)
    try {
      // Of the open file, so that what was looked at is what is read.
      refuseOthers(file, (await handle.stat()).mode)
      secret = await handle.readFile()
    } finally {
      await handle.close()
    }
  } catch (error) {
    if (error instanceof Fault) throw error
    if (codeOf(error) === 'ENOENT') return undefined
    throw new Fault('config_invalid', `the JWT secret ${file} cannot be read: ${explain(error)}`, {
      cause: error,
    })
  }
  if (secret.length >= SHORTEST_SECRET_BYTES && secret.length <= LONGEST_SECRET_BYTES) return secret
  throw new Fault(
    'config_invalid',
    `the JWT secret ${file} has ${secret.length} bytes, and ${SHORTEST_SECRET_BYTES} to ${LONGEST_SECRET_BYTES} are ` +
      'needed: write 64 random ones into it, or remove it and have it made anew',
  )
}

function refuseOthers(file: string, mode: number): void {
  if ((mode & OTHERS) === 0) return
  const found = (mode & 0o7777).toString(8).padStart(4, '0')
  const word = (mode & 0o004) === 0 ? 'open to everybody' : 'world-readable'
  throw new Fault(
    'config_invalid',
    `the JWT secret ${file} is ${word} (mode ${found}), so Postern does not start: \`chmod 0640 ${file}\` leaves it to ` +
      `its owner and group, as an installed service needs it; \`chmod 0600 ${file}\` leaves it to its owner alone`,
  )
}

/** Whole or not at all, never in place of another: a link fails where something has the name already. */
async function makeSecret(file: string): Promise<boolean> {
  const draft = `${file}.${randomBytes(6).toString('hex')}.new`
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    const handle = await open(draft, 'wx', 0o600)
    try {
      await handle.chmod(0o600)
      await handle.writeFile(randomBytes(SECRET_BYTES))
      await handle.sync()
    } finally {
      await handle.close()
    }
    try {
      await link(draft, file)
      return true
    } catch (error) {
      if (codeOf(error) === 'EEXIST') return false
      throw error
    }
  } catch (error) {
    throw new Fault('data_dir_unusable', `the JWT secret ${file} cannot be made: ${explain(error)}`, {
      cause: error,
    })
  } finally {
    await rm(draft, { force: true })
  }
}

const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error ? String(error.code) : 'unknown error'

function explain(error: unknown): string {
  switch (codeOf(error)) {
    case 'EACCES':
    case 'EPERM':
      return 'permission denied; name another with auth.jwt.secretFile, or give it to the account that runs Postern'
    case 'EISDIR':
      return 'it is a directory'
    case 'ENOSPC':
      return 'the disk is full'
    case 'EROFS':
      return 'the file system is read-only; name another with auth.jwt.secretFile'
    default:
      return codeOf(error)
  }
}
