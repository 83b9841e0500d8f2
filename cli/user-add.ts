import { FIRST_TENANT } from '../src/identity/first-tenant.ts'
import { ROLES } from '../src/identity/users/user.ts'
import type { Command } from './command.ts'
import { PASSWORD_OPTIONS, readPassword } from './password-options.ts'

export const command: Command = {
  name: 'user add',
  summary: 'make a user, who can then sign in',
  description:
    'Works while the gateway runs: the user can sign in at once. Without a password option, the password is asked for. ' +
    'A tenant that is not there yet is made.',
  options: [
    { name: 'username', value: 'NAME', summary: 'what the user is called; normalised to small letters' },
    ...PASSWORD_OPTIONS,
    { name: 'admin', summary: 'the same as --role admin' },
    { name: 'role', value: 'ROLE', summary: 'what the user may do', choices: ROLES, standard: 'reader' },
    { name: 'tenant', value: 'NAME', summary: 'the tenant the user belongs to', standard: FIRST_TENANT },
    { name: 'email', value: 'ADDRESS', summary: 'an e-mail address to sign in with, beside the name' },
  ],
  examples: [
    ['postern user add --username alice --admin', 'the first administrator; the password is asked for'],
    ['postern user add --username bob --password-stdin < password.txt', 'a reader'],
  ],
  async run(invocation, given) {
    const name = given.text('username')
    if (name === undefined) return invocation.misuse('--username NAME is needed', 'usage')
    const role = ROLES.find((known) => known === given.text('role'))
    if (given.flag('admin') && role !== undefined && role !== 'admin') {
      return invocation.misuse(`--admin and --role ${role}: give one of them`, 'usage')
    }
    const password = await readPassword(invocation, given)
    if (!password.ok) return password.error
    const { withPeople } = await import('./with-people.ts')
    return await withPeople(invocation, given, async ({ users }) => {
      const tenant = given.text('tenant') ?? FIRST_TENANT
      const email = given.text('email')
      const isThere = (await users.listTenants()).some(({ id }) => id === tenant)
      const added = await users.add(
        {
          tenant,
          name,
          password: password.value,
          role: given.flag('admin') ? 'admin' : (role ?? 'reader'),
          ...(email === undefined ? {} : { email }),
        },
        { userId: null },
        { withTenant: !isThere },
      )
      if (!added.ok) return invocation.refuse(added.error)
      if (!isThere) invocation.note(`The tenant ${tenant} was made.`)
      const { newUserJson } = await import('../src/identity/users/user-json.ts')
      const { id, name: kept, role: given_ } = added.value
      invocation.answer(
        newUserJson(added.value),
        `User ${kept} (${given_}) of tenant ${tenant} can sign in now. The id is ${id}.`,
      )
      return 0
    })
  },
}
