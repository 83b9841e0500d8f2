import type { JwtAlgorithm } from './algorithm.ts'
import type { JwtRules } from './claims.ts'
import type { KeySource } from './read-keys.ts'

/** How JWTs are made and judged, and where their keys are. A file that is missing is made, with a warning. */
export interface JwtOptions extends JwtRules {
  /** `HS256` when absent. */
  readonly algorithm?: JwtAlgorithm
  /** Of HS256: absolute path of the secret. */
  readonly secretFile: string
  /** Of RS256 and EdDSA: absolute path of the private key in PKCS#8 PEM; needed for them. */
  readonly keyFile?: string
}

/** @param algorithm another one than is set: where its key would be */
export function keySourceOf(options: JwtOptions, algorithm = options.algorithm ?? 'HS256'): KeySource {
  const file = algorithm === 'HS256' ? options.secretFile : options.keyFile
  if (file === undefined) throw new TypeError(`no file is named for the key of ${algorithm}`)
  return { file, algorithm }
}
