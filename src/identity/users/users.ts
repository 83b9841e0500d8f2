import { err, ok } from '../../lib/result.ts'
import { insertTenant, isDeletedTenant, listTenants, type TenantRow } from '../../store/tenants.ts'
import { findUserById, findUsersByName, listUsers } from '../../store/users.ts'
import { addUser } from './add-user.ts'
import { changeUser, removeUser } from './change-user.ts'
import { removeTenant } from './remove-tenant.ts'
import { refuseTenantId, takenTenant } from './tenant-id.ts'
import type { User, Users } from './user.ts'
import { readEmail, readUserName } from './user-name.ts'
import { userOfRow } from './user-of-row.ts'
import type { UserPlaces } from './user-places.ts'

/** Small enough not to hold up the event loop, which SQLite shares. */
const PAGE_ROWS = 500

/** More tenants with a user of one name than anybody can choose from. */
const MOST_OF_ONE_NAME = 20

export function createUsers(places: UserPlaces): Users {
  const { store, clock } = places
  return {
    add: addUser(places),
    change: changeUser(places),
    remove: removeUser(places),
    removeTenant: removeTenant(places),
    async list(tenant) {
      const users: User[] = []
      await pages(async (after) => {
        const page = await listUsers(store.db, tenant, after, PAGE_ROWS)
        users.push(...page.map(userOfRow))
        return page
      })
      return users
    },
    async find(id) {
      const row = await findUserById(store.db, id)
      return row && row.deletedAt === null ? userOfRow(row) : undefined
    },
    async findByName(nameOrEmail, tenant) {
      const rows = await findRowsByName(places, nameOrEmail, tenant)
      return rows.map(userOfRow)
    },
    async addTenant(id) {
      const wrong = refuseTenantId(id)
      if (wrong) return err(wrong)
      const tenant = { id, createdAt: clock.now() }
      const made = await store.db.transaction().execute(async (trx) => await insertTenant(trx, tenant))
      return made ? ok(tenant) : err(takenTenant(id, await isDeletedTenant(store.db, id)))
    },
    async listTenants() {
      const tenants: TenantRow[] = []
      await pages(async (after) => {
        const page = await listTenants(store.db, after, PAGE_ROWS)
        tenants.push(...page)
        return page
      })
      return tenants
    },
  }
}

/** By name, or else by address; oldest first. */
export async function findRowsByName(
  { store }: Pick<UserPlaces, 'store'>,
  nameOrEmail: string,
  tenant: string | undefined,
) {
  const name = readUserName(nameOrEmail)
  if (name.ok) {
    const named = await findUsersByName(store.db, { name: name.value.name }, tenant, MOST_OF_ONE_NAME)
    if (named.length > 0) return named
  }
  const email = readEmail(nameOrEmail)
  return email.ok ? await findUsersByName(store.db, { email: email.value }, tenant, MOST_OF_ONE_NAME) : []
}

async function pages(read: (after: string) => Promise<readonly { readonly id: string }[]>): Promise<void> {
  for (let after = ''; ;) {
    const page = await read(after)
    const last = page.at(-1)
    if (!last || page.length < PAGE_ROWS) return
    after = last.id
    await new Promise(setImmediate)
  }
}
