import type { Command } from './command.ts'
import { findOneUser } from './find-one-user.ts'
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
      const found = await findOneUser(invocation, users, name, given.text('tenant'))
      if (!found.ok) return found.error
      const user = found.value
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
