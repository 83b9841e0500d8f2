import type { User, Users } from '../src/identity/users/user.ts'
import { err, ok, type Result } from '../src/lib/result.ts'
import type { Invocation } from './command.ts'

/** The one user of a name or an address; refused, with the tenants, where there are several. */
export async function findOneUser(
  invocation: Invocation,
  users: Pick<Users, 'findByName'>,
  name: string,
  tenant: string | undefined,
): Promise<Result<User, 1>> {
  const [user, ...others] = await users.findByName(name, tenant)
  if (!user) {
    return err(
      invocation.refuse({
        code: 'not_found',
        rule: 'user.name',
        message: 'there is no user of that name',
        allowed: 'a name that "postern user list" shows',
      }),
    )
  }
  if (others.length === 0) return ok(user)
  return err(
    invocation.refuse({
      code: 'conflict',
      rule: 'user.name',
      message: 'several tenants have a user of that name',
      allowed: '--tenant NAME',
      candidates: [user, ...others].map((one) => one.tenant),
    }),
  )
}
