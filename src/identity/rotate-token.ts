import { err, ok, type Result } from '../lib/result.ts'
import { findTokenById, insertToken, replaceToken } from '../store/tokens.ts'
import { findToken, type FoundToken } from './find-token.ts'
import { entryOf, fileRecord, rowOf } from './issue-token.ts'
import { knownFromRow } from './issued-tokens.ts'
import { type Known, toRecord } from './known.ts'
import type { TokenPlan } from './new-token.ts'
import { inConfiguration } from './remove-token.ts'
import type { FileToken } from './token-file/entry.ts'
import { knownFromFile } from './token-file/known.ts'
import type { TokenPlaces } from './token-places.ts'
import { tokenRefusal, type TokenRefusal } from './token-refusal.ts'
import { newToken } from './token-text.ts'
import type { IssuedToken, TokenRecord, Tokens } from './tokens.ts'

type Rotated = Result<IssuedToken & { readonly predecessor: TokenRecord }, TokenRefusal>

/** The longest time for which both tokens are good: 30 days. */
const LONGEST_GRACE_MS = 30 * 86_400_000

export function rotateToken(places: TokenPlaces): Tokens['rotate'] {
  return async (id, graceMs = 0) => {
    if (!(graceMs >= 0 && graceMs <= LONGEST_GRACE_MS)) {
      return err(
        tokenRefusal('invalid_arguments', 'token.grace', 'the grace period must lie between 0 and 30 days'),
      )
    }
    const found = await findToken(places, id)
    if (!found.ok) return found
    const now = places.clock.now()
    const { known, source } = found.value
    if (source === 'config') return err(inConfiguration(known.caller.credential.name))
    const { expiresAt } = known.caller.credential
    if (expiresAt !== null && expiresAt <= now) {
      return err(
        tokenRefusal('conflict', 'token.expired', 'that token has expired', { allowed: 'issue a new token' }),
      )
    }
    const plan = successorOf(known, now)
    const endsAt = graceMs === 0 ? now : Math.min(now + Math.round(graceMs), expiresAt ?? Infinity)
    return source === 'store'
      ? await rotateInStore(places, found.value, plan, endsAt)
      : await rotateInFile(places, known, plan, endsAt)
  }
}

/** The same grant and length of life, from now on. */
function successorOf({ caller: { principal, credential, grant } }: Known, now: number): TokenPlan {
  const { createdAt, expiresAt } = credential
  const lifeMs = expiresAt === null ? null : Math.max(1, expiresAt - (createdAt ?? now))
  return {
    note: credential.name === credential.id ? '' : credential.name,
    owner: principal.id === credential.id ? '' : principal.id,
    level: grant.level,
    tenant: grant.tenant,
    databases: grant.databases,
    servers: grant.servers,
    scopes: grant.scopes,
    createdAt: now,
    expiresAt: lifeMs === null ? null : now + lifeMs,
  }
}

async function rotateInStore(
  { store, issued, clock }: TokenPlaces,
  { row }: FoundToken & { readonly source: 'store' },
  plan: TokenPlan,
  endsAt: number,
): Promise<Rotated> {
  const { token, hash } = newToken()
  const ended = endsAt <= clock.now()
  const written = await store.change('tokens', async (trx, revision) => {
    const successor = rowOf(plan, hash, revision)
    const change = {
      replacedBy: successor.id,
      expiresAt: ended ? row.expiresAt : endsAt,
      revokedAt: ended ? endsAt : null,
    }
    if (!(await replaceToken(trx, row.id, change, revision))) return undefined
    await insertToken(trx, successor)
    return { successor, predecessor: (await findTokenById(trx, row.id)) ?? { ...row, ...change, revision } }
  })
  if (!written) return err(alreadyDone())
  await issued.takeOver(written.successor, written.predecessor)
  const now = clock.now()
  return ok({
    token,
    record: toRecord(knownFromRow(written.successor), now),
    predecessor: toRecord(knownFromRow(written.predecessor), now, { revoked: ended }),
  })
}

async function rotateInFile(
  places: TokenPlaces,
  known: Known,
  plan: TokenPlan,
  endsAt: number,
): Promise<Rotated> {
  const { id } = known.caller.credential
  const { token, hash } = newToken()
  const ended = endsAt <= places.clock.now()
  let successor: FileToken | undefined
  let predecessor: FileToken | undefined
  await places.file?.change((tokens) => {
    predecessor = tokens.find((entry) => entry.id === id && entry.hash === known.hash)
    if (!predecessor) return undefined
    successor = entryOf(plan, hash, tokens, places.tenantDefault)
    return ended ? { add: successor, remove: new Set([id]) } : { add: successor, expire: { id, at: endsAt } }
  })
  if (!successor || !predecessor) return err(alreadyDone())
  const old: FileToken = ended ? predecessor : { ...predecessor, expiresAt: endsAt }
  return ok({
    token,
    record: fileRecord(places, successor),
    predecessor: toRecord(knownFromFile(old, places.tenantDefault), places.clock.now(), { revoked: ended }),
  })
}

const alreadyDone = (): TokenRefusal =>
  tokenRefusal('conflict', 'token.rotated', 'that token has been rotated or removed already', {
    allowed: 'rotate its successor, or issue a new token',
  })
