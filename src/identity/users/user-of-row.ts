import type { UserRow } from '../../store/users.ts'
import { type Level, LEVELS } from '../grant.ts'
import { LEVEL_OF_ROLE, type Role, ROLES, type User } from './user.ts'

/** A row with a level that no version knows gets the lowest one. */
export const levelOfRow = (row: Pick<UserRow, 'level'>): Level =>
  LEVELS.find((level) => level === row.level) ?? 'read-only'

const roleOfLevel = (level: Level): Role => ROLES.find((role) => LEVEL_OF_ROLE[role] === level) ?? 'reader'

export const userOfRow = (row: UserRow): User => ({
  id: row.id,
  tenant: row.tenant,
  name: row.name,
  email: row.email,
  role: roleOfLevel(levelOfRow(row)),
  createdAt: row.createdAt,
  disabled: row.disabledAt !== null,
})
