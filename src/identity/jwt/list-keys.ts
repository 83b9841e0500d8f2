import { Fault } from '../../lib/fault.ts'
import type { JwtAlgorithm } from './algorithm.ts'
import { keyFileName, KeyFileProblem, type KeySource, readKeys } from './read-keys.ts'

export interface ListedKey {
  readonly kid: string
  readonly algorithm: JwtAlgorithm
  /** `retired`: it verifies what it signed before. */
  readonly status: 'signing' | 'retired'
  /** Milliseconds since the epoch; `null` for the one that signs. */
  readonly until: number | null
}

/**
 * The keys as their files have them: the one that signs first; none where there is no file yet.
 *
 * @throws Fault `config_invalid` when they cannot be used
 */
export async function listKeys(source: KeySource, now: number): Promise<readonly ListedKey[]> {
  try {
    const keys = await readKeys(source)
    if (keys === null) return []
    if (keys === undefined) {
      throw new KeyFileProblem(`${keyFileName(source)} ${source.file} is being replaced: try again`)
    }
    const { signing, rings } = keys
    const ring = rings.find((one) => one.signing === signing.kid)
    return [
      { kid: signing.kid, algorithm: signing.algorithm, status: 'signing', until: null },
      ...(ring?.retired ?? [])
        .filter(({ key, until }) => until > now && key.kid !== signing.kid)
        .map(({ key, until }) => ({
          kid: key.kid,
          algorithm: key.algorithm,
          status: 'retired' as const,
          until,
        })),
    ]
  } catch (error) {
    if (error instanceof KeyFileProblem) throw new Fault('config_invalid', error.message, { cause: error })
    throw error
  }
}
