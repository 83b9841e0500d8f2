import { type Known, toKnown } from '../known.ts'
import type { FileToken } from './entry.ts'

export function knownFromFile(token: FileToken, tenantDefault: string): Known {
  return toKnown('token-file', {
    ...token,
    owner: token.owner || token.note,
    tenant: token.tenant ?? tenantDefault,
  })
}
