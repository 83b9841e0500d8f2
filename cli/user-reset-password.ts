import type { Command } from './command.ts'
import { PASSWORD_OPTIONS, readPassword } from './password-options.ts'

export const command: Command = {
  name: 'user reset-password',
  summary: 'give a user another password',
  description: 'Ends the tokens of the user. Without a password option, the password is asked for.',
  options: [
    { name: 'username', value: 'NAME', summary: 'the user, by name or e-mail address' },
    ...PASSWORD_OPTIONS,
    { name: 'tenant', value: 'NAME', summary: 'the tenant, where several have such a user' },
  ],
  async run(invocation, given) {
    const name = given.text('username')
    if (name === undefined) return invocation.misuse('--username NAME is needed', 'usage')
    const password = await readPassword(invocation, given)
    if (!password.ok) return password.error
    const { withPeople } = await import('./with-people.ts')
    return await withPeople(invocation, given, async ({ users }) => {
      const [user, ...others] = await users.findByName(name, given.text('tenant'))
      if (!user) {
        return invocation.refuse({
          code: 'not_found',
          rule: 'user.name',
          message: 'there is no user of that name',
          allowed: 'a name that "postern user list" shows',
        })
      }
      if (others.length > 0) {
        return invocation.refuse({
          code: 'conflict',
          rule: 'user.name',
          message: 'several tenants have a user of that name',
          allowed: '--tenant NAME',
          candidates: [user, ...others].map(({ tenant }) => tenant),
        })
      }
      const changed = await users.change(user.id, user.tenant, { password: password.value }, { userId: null })
      if (!changed.ok) return invocation.refuse(changed.error)
      const { userJson } = await import('../src/identity/users/user-json.ts')
      invocation.answer(
        userJson(changed.value),
        `User ${user.name} of tenant ${user.tenant} has a new password. What was open with the old one is closed.`,
      )
      return 0
    })
  },
}
