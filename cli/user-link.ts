import type { Command } from './command.ts'
import { ACCOUNT_OPTIONS, readAccount } from './account-options.ts'
import { findOneUser } from './find-one-user.ts'

export const command: Command = {
  name: 'user link',
  summary: 'make an account of a provider the way in of a user',
  description:
    'From then on the user signs in with the provider only: the password is removed, what was opened with it is ' +
    'closed, and the role and the tenant become those of the groups at the next sign-in.',
  options: [
    { name: 'username', value: 'NAME', summary: 'the user, by name or e-mail address' },
    ...ACCOUNT_OPTIONS,
    { name: 'tenant', value: 'NAME', summary: 'the tenant, where several have such a user' },
  ],
  examples: [
    [
      'postern user link --username alice --provider company --subject 248289761001',
      'the account is alice’s',
    ],
  ],
  async run(invocation, given) {
    const name = given.text('username')
    if (name === undefined) return invocation.misuse('--username NAME is needed', 'usage')
    const { withPeople } = await import('./with-people.ts')
    return await withPeople(invocation, given, async ({ users, links, settings }) => {
      const account = readAccount(invocation, given, settings)
      if (!account.ok) return account.error
      const user = await findOneUser(invocation, users, name, given.text('tenant'))
      if (!user.ok) return user.error
      const linked = await links.link(user.value.id, account.value, { userId: null })
      if (!linked.ok) return invocation.refuse(linked.error)
      const { userJson } = await import('../src/identity/users/user-json.ts')
      invocation.answer(
        { ...userJson(linked.value), ...account.value },
        `User ${linked.value.name} of tenant ${linked.value.tenant} signs in with the provider now, and has no password.`,
      )
      return 0
    })
  },
}
