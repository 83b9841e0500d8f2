import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { Fault } from './fault.ts'
import { makeFile } from './make-file.ts'
import { PlantedLink, refusePlantedLink } from './planted-link.ts'
import { SEALING_KEY_BYTES } from './seal.ts'
import { hasCode, systemCode } from './system-code.ts'

/** Read and write for others than the owner (`chmod` 077). */
const OTHERS = 0o077

/**
 * The key of an installation: it seals the credentials of principals, and the roles of tenants are derived from it.
 *
 * @returns `null` when there is no such file
 * @throws Fault `config_invalid` when others can read it, or it is no key; the message says what to do
 */
export async function readKeyFile(file: string): Promise<Buffer | null> {
  let handle
  try {
    refusePlantedLink(file)
    handle = await open(file, constants.O_RDONLY)
  } catch (cause) {
    if (hasCode(cause, 'ENOENT')) return null
    const why = cause instanceof PlantedLink ? cause.message : (systemCode(cause) ?? 'unknown')
    throw new Fault('config_invalid', `the key file ${file} cannot be read (${why})`, { cause })
  }
  try {
    // Of the open file, so that what was looked at is what is read.
    const { mode, size } = await handle.stat()
    if ((mode & OTHERS) !== 0) {
      const found = (mode & 0o777).toString(8).padStart(4, '0')
      throw new Fault(
        'config_invalid',
        `others than its owner can use the key file ${file} (mode ${found}): run chmod 600 ${file}; ` +
          'if it may have been read already, remove it, have the credentials of principals left anew, and take back the protection of databases (postern database protect NAME --undo), then protect them anew',
      )
    }
    if (size !== SEALING_KEY_BYTES) {
      throw new Fault(
        'config_invalid',
        `the key file ${file} has ${size} bytes instead of ${SEALING_KEY_BYTES}: bring it back from your copy of it (no backup of Postern holds it)`,
      )
    }
    const key = Buffer.alloc(SEALING_KEY_BYTES)
    await handle.read(key, 0, SEALING_KEY_BYTES, 0)
    return key
  } finally {
    await handle.close()
  }
}

/**
 * Makes a key where there is none. Of several processes that do so at once, all end up with the same one.
 *
 * @throws Fault `data_dir_unusable` when it cannot be written
 */
export async function makeKeyFile(file: string): Promise<Buffer> {
  const key = randomBytes(SEALING_KEY_BYTES)
  try {
    await makeFile(file, key)
  } catch (cause) {
    throw new Fault(
      'data_dir_unusable',
      `the key file ${file} cannot be written (${systemCode(cause) ?? 'unknown'})`,
      { cause },
    )
  }
  return (await readKeyFile(file)) ?? key
}
