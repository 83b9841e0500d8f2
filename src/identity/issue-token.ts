import { err, ok, type Result } from '../lib/result.ts'
import { isDeletedTenant } from '../store/tenants.ts'
import { insertToken, type TokenRow } from '../store/tokens.ts'
import type { Allowed } from './grant.ts'
import { knownFromRow } from './issued-tokens.ts'
import { toRecord } from './known.ts'
import type { TokenPlan } from './new-token.ts'
import type { FileToken } from './token-file/entry.ts'
import { knownFromFile } from './token-file/known.ts'
import type { TokenPlaces } from './token-places.ts'
import { tokenRefusal, type TokenRefusal } from './token-refusal.ts'
import { newToken, newTokenId } from './token-text.ts'
import type { IssuedToken } from './tokens.ts'

const listOrNull = (allowed: Allowed): readonly string[] | null => (allowed === 'all' ? null : allowed)

/** The row of a token that is about to be issued. */
export function rowOf(plan: TokenPlan, hash: string, revision: number): TokenRow {
  return {
    id: newTokenId(),
    hash,
    note: plan.note,
    owner: plan.owner,
    level: plan.level,
    tenant: plan.tenant,
    databases: listOrNull(plan.databases),
    servers: listOrNull(plan.servers),
    scopes: listOrNull(plan.scopes),
    createdAt: plan.createdAt,
    expiresAt: plan.expiresAt,
    revokedAt: null,
    replacedBy: null,
    revision,
  }
}

export async function issueIntoStore(
  { store, issued, clock }: TokenPlaces,
  plan: TokenPlan,
): Promise<Result<IssuedToken, TokenRefusal>> {
  const { token, hash } = newToken()
  const row = await store.change('tokens', async (trx, revision) => {
    // Looked at in the transaction: a tenant that is being deleted gets no token after it has lost all of them.
    if (await isDeletedTenant(trx, plan.tenant)) return undefined
    const fresh = rowOf(plan, hash, revision)
    await insertToken(trx, fresh)
    return fresh
  })
  if (!row) return err(ofDeletedTenant(plan.tenant))
  await issued.takeOver(row)
  return ok({ token, record: toRecord(knownFromRow(row), clock.now()) })
}

export const ofDeletedTenant = (tenant: string): TokenRefusal =>
  tokenRefusal('conflict', 'token.tenant', `the tenant "${tenant}" was deleted`)

/**
 * The entry of a token that is about to be written into the token file. Its id has the form that users of
 * this file know; of two made in the same second the second one counts on.
 */
export function entryOf(
  plan: TokenPlan,
  hash: string,
  taken: readonly FileToken[],
  tenantDefault: string,
): FileToken {
  const ids = new Set(taken.map(({ id }) => id))
  let number = Math.floor(plan.createdAt / 1_000)
  while (ids.has(`token-${number}`)) number += 1
  return {
    id: `token-${number}`,
    hash,
    note: plan.note,
    owner: plan.owner === plan.note ? '' : plan.owner,
    level: plan.level,
    ...(plan.tenant === tenantDefault ? {} : { tenant: plan.tenant }),
    databases: plan.databases,
    servers: plan.servers,
    scopes: plan.scopes,
    createdAt: plan.createdAt,
    expiresAt: plan.expiresAt,
  }
}

/** The record of an entry as the file holds it now: its times are whole seconds. */
export function fileRecord({ file, tenantDefault, clock }: TokenPlaces, written: FileToken) {
  const entry = file?.tokens.find(({ hash }) => hash === written.hash) ?? written
  return toRecord(knownFromFile(entry, tenantDefault), clock.now())
}
