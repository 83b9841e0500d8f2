import type { Command } from './command.ts'

export const command: Command = {
  name: 'user list',
  summary: 'list the users of all tenants, or of one',
  options: [{ name: 'tenant', value: 'NAME', summary: 'only those of this tenant', standard: 'all' }],
  async run(invocation, given) {
    const { withPeople } = await import('./with-people.ts')
    return await withPeople(invocation, given, async ({ users }) => {
      const { userJson } = await import('../src/identity/users/user-json.ts')
      const { columns } = await import('./text.ts')
      const all = await users.list(given.text('tenant'))
      const rows = all.map(
        ({ id, name, tenant, role, disabled }) =>
          [`${name} (${tenant})`, `${role}${disabled ? ', disabled' : ''}  ${id}`] as const,
      )
      const width = Math.max(0, ...rows.map(([left]) => left.length))
      invocation.answer(
        all.map(userJson),
        rows.length === 0
          ? 'There are no users. Make one with: postern user add --username NAME --admin'
          : columns(rows, { indent: 0, left: width, width: 200 }),
      )
      return 0
    })
  },
}
