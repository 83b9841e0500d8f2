import type { Command } from './command.ts'

export const command: Command = {
  name: 'user delete',
  summary: 'delete a user',
  description:
    'The running gateway refuses the tokens of the user from that moment and closes what they have open.',
  options: [{ name: 'user-id', value: 'ID', summary: 'the id that "postern user list" shows' }],
  async run(invocation, given) {
    const id = given.text('user-id')
    if (id === undefined)
      return invocation.misuse('--user-id ID is needed: "postern user list" shows it', 'usage')
    const { withPeople } = await import('./with-people.ts')
    return await withPeople(invocation, given, async ({ users }) => {
      const removed = await users.remove(id, undefined, { userId: null })
      if (!removed.ok) return invocation.refuse(removed.error)
      const { userJson } = await import('../src/identity/users/user-json.ts')
      const { name, tenant } = removed.value
      invocation.answer(userJson(removed.value), `User ${name} of tenant ${tenant} is deleted.`)
      return 0
    })
  },
}
