import { randomBytes } from 'node:crypto'
import { link, mkdir, open, rm } from 'node:fs/promises'
import { dirname } from 'node:path'
import { hasCode } from '../../lib/system-code.ts'
import { cannotWrite } from '../files/replace.ts'
import { newKey } from './key.ts'
import { keyFileName, type KeySource } from './read-keys.ts'

/**
 * Makes a key where there is none: whole or not at all, never in place of another. Answers whether this call did it: of
 * several processes that start at once, one does.
 *
 * @throws Fault `data_dir_unusable`
 */
export async function makeKeyFile({ file, algorithm }: KeySource): Promise<boolean> {
  const draft = `${file}.${randomBytes(6).toString('hex')}.new`
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 })
    const handle = await open(draft, 'wx', 0o600)
    try {
      await handle.chmod(0o600)
      await handle.writeFile(await newKey(algorithm))
      await handle.sync()
    } finally {
      await handle.close()
    }
    // A link fails where something has the name already.
    await link(draft, file)
    return true
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw cannotWrite(keyFileName({ algorithm }), file, error)
  } finally {
    await rm(draft, { force: true })
  }
}
