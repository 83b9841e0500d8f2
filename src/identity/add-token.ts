import { err, ok } from '../lib/result.ts'
import { isDeletedTenant } from '../store/tenants.ts'
import { entryOf, fileRecord, issueIntoStore, ofDeletedTenant } from './issue-token.ts'
import { planToken, type TokenPlan } from './new-token.ts'
import type { FileToken } from './token-file/entry.ts'
import type { TokenPlaces } from './token-places.ts'
import { tokenRefusal } from './token-refusal.ts'
import { newToken } from './token-text.ts'
import type { IssuedToken, Tokens } from './tokens.ts'

export function addToken(places: TokenPlaces): Tokens['add'] {
  return async (input, { into = 'store' } = {}) => {
    const plan = planToken(input, places.tenantDefault, places.clock.now())
    if (!plan.ok) return plan
    if (into === 'store') return await issueIntoStore(places, plan.value)
    if (!places.file) {
      return err(
        tokenRefusal('invalid_arguments', 'token.file', 'no token file is configured', {
          allowed: 'set auth.tokenFile, or issue the token into the store',
        }),
      )
    }
    const { tenant } = plan.value
    if (await isDeletedTenant(places.store.db, tenant)) return err(ofDeletedTenant(tenant))
    return ok(await issueIntoFile(places, plan.value))
  }
}

async function issueIntoFile(places: TokenPlaces, plan: TokenPlan): Promise<IssuedToken> {
  const { token, hash } = newToken()
  let written: FileToken | undefined
  await places.file?.change((tokens) => {
    written = entryOf(plan, hash, tokens, places.tenantDefault)
    return { add: written }
  })
  if (!written) throw new Error('the token file was not changed')
  return { token, record: fileRecord(places, written) }
}
