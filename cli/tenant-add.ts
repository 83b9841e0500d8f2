import type { Command } from './command.ts'

export const command: Command = {
  name: 'tenant add',
  summary: 'make a tenant',
  arguments: [{ name: 'NAME', summary: 'small letters, digits, - and _' }],
  async run(invocation, given) {
    const { withPeople } = await import('./with-people.ts')
    return await withPeople(invocation, given, async ({ users }) => {
      const added = await users.addTenant(given.argument('NAME') ?? '')
      if (!added.ok) return invocation.refuse(added.error)
      const { tenantJson } = await import('../src/identity/users/user-json.ts')
      const { id } = added.value
      invocation.answer(
        tenantJson(added.value),
        `The tenant ${id} is made. It needs an administrator: postern user add --username NAME --tenant ${id} --admin`,
      )
      return 0
    })
  },
}
