import type { AuditEntry, AuditLog } from '../src/audit/open.ts'
import { readUserName } from '../src/identity/users/user-name.ts'
import type { Store } from '../src/store/open.ts'
import { findUserById, findUsersEverNamed } from '../src/store/users.ts'

/** Tenants may have users of one name; nobody has as many as this. */
const MOST_OF_A_NAME = 100

type Filter = Parameters<AuditLog['search']>[0]

/**
 * Entries of a principal, newest first. The record has the ids of users, which outlive their names; a person knows
 * names. So a name stands for the owner of tokens who is called that, and for each user of that name, deleted ones too.
 */
export async function searchByName(
  { audit, store }: { readonly audit: AuditLog; readonly store: Store },
  who: string,
  filter: Filter,
  limit: number,
): Promise<readonly AuditEntry[]> {
  const found: AuditEntry[] = []
  for (const principal of [who, ...(await idsOf(store, who))]) {
    found.push(...(await audit.search({ ...filter, principal }, limit)).entries)
  }
  return found.toSorted((one, other) => other.seq - one.seq).slice(0, limit)
}

async function idsOf({ db }: Store, who: string): Promise<readonly string[]> {
  const name = readUserName(who)
  if (!name.ok) return []
  const users = await findUsersEverNamed(db, name.value.name, MOST_OF_A_NAME)
  return users.map(({ id }) => id)
}

/** What to call the users whose ids are in these entries; a tenant's name is part of it, because names are of tenants. */
export async function namesIn(
  { db }: Store,
  entries: readonly AuditEntry[],
): Promise<ReadonlyMap<string, string>> {
  const ids = new Set(entries.flatMap(({ principal, target }) => [principal ?? '', target ?? '']))
  const names = new Map<string, string>()
  for (const id of ids) {
    const user = UUID.test(id) ? await findUserById(db, id) : undefined
    if (user !== undefined) names.set(id, `${user.name} (${user.tenant})`)
  }
  return names
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/
