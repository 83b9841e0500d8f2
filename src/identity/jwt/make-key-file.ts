import { makeFile } from '../../lib/make-file.ts'
import { cannotWrite } from '../files/replace.ts'
import { newKey } from './key.ts'
import { keyFileName, type KeySource } from './read-keys.ts'

/**
 * Makes a key where there is none. Answers whether this call did it: of several processes that start at once, one does.
 *
 * @throws Fault `data_dir_unusable`
 */
export async function makeKeyFile({ file, algorithm }: KeySource): Promise<boolean> {
  const key = await newKey(algorithm)
  try {
    return await makeFile(file, key)
  } catch (error) {
    throw cannotWrite(keyFileName({ algorithm }), file, error)
  }
}
