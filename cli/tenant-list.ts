import type { Command } from './command.ts'

export const command: Command = {
  name: 'tenant list',
  summary: 'list the tenants',
  async run(invocation, given) {
    const { withPeople } = await import('./with-people.ts')
    return await withPeople(invocation, given, async ({ users }) => {
      const { tenantJson } = await import('../src/identity/users/user-json.ts')
      const tenants = await users.listTenants()
      invocation.answer(tenants.map(tenantJson), tenants.map(({ id }) => id).join('\n'))
      return 0
    })
  },
}
