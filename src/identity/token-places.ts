import type { Clock } from '../lib/clock.ts'
import type { Observe } from '../observe/observation.ts'
import type { Store } from '../store/open.ts'
import type { IssuedTokens } from './issued-tokens.ts'
import type { LoadedTokens } from './loaded-tokens.ts'
import type { TokenFile } from './token-file/token-file.ts'
import type { TokenUses } from './token-uses.ts'

/** Where tokens are, for the files that administer them. */
export interface TokenPlaces {
  readonly store: Store
  readonly issued: IssuedTokens
  readonly config: LoadedTokens
  readonly fileTokens: LoadedTokens
  /** `null` without a token file. */
  readonly file: TokenFile | null
  readonly uses: TokenUses
  readonly clock: Clock
  readonly observe: Observe
  readonly tenantDefault: string
}
