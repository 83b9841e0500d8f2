import { join } from 'node:path'
import type { Settings } from './config/settings.ts'
import type { PeopleOptions } from './identity/open-people.ts'

/** How people sign in: the gateway, and the command line that administers them beside it, hold to the same rules. */
export function peopleOptions({ auth, dataDir }: Pick<Settings, 'auth' | 'dataDir'>): PeopleOptions {
  const { jwt, argon2, passwords } = auth
  const { commonFile: path, commonFileMode: mode } = passwords
  const secretFile = jwt.secretFile ?? join(dataDir, 'jwt.secret')
  const keyFile = jwt.keyFile ?? join(dataDir, 'jwt.key')
  return {
    jwt: { ...jwt, secretFile, keyFile },
    argon2,
    passwords,
    ...(path === null ? {} : { commonFile: { path, mode } }),
  }
}
