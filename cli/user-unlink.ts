import type { Command } from './command.ts'
import { ACCOUNT_OPTIONS, readAccount } from './account-options.ts'

export const command: Command = {
  name: 'user unlink',
  summary: 'take an account of a provider away from its user',
  description:
    'What the user has open is closed, and the user has no way in until another account is linked or a password is set. ' +
    'An account whose user was deleted makes a new user at its next sign-in.',
  options: ACCOUNT_OPTIONS,
  async run(invocation, given) {
    const { withPeople } = await import('./with-people.ts')
    return await withPeople(invocation, given, async ({ links, settings }) => {
      const account = readAccount(invocation, given, settings)
      if (!account.ok) return account.error
      const unlinked = await links.unlink(account.value, { userId: null })
      if (!unlinked.ok) return invocation.refuse(unlinked.error)
      const { userJson } = await import('../src/identity/users/user-json.ts')
      const user = unlinked.value
      invocation.answer(
        { ...account.value, user: user && userJson(user) },
        user
          ? `User ${user.name} of tenant ${user.tenant} signs in with that account no more.`
          : 'The account of a deleted user may sign in anew.',
      )
      return 0
    })
  },
}
