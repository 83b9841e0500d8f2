import { err, ok } from '../src/lib/result.ts'
import type { Command } from './command.ts'

export const command: Command = {
  name: 'tenant delete',
  summary: 'delete a tenant with its users and its tokens, for ever',
  description:
    'The running gateway refuses everything of the tenant from that moment and closes what it has open. Its id is not given ' +
    'away again, because rows in databases may still carry it; those rows stay. Asks first.',
  arguments: [{ name: 'ID', summary: 'the tenant, as "postern tenant list" shows it' }],
  options: [{ name: 'yes', summary: 'do not ask' }],
  async run(invocation, given) {
    const id = given.argument('ID') ?? ''
    if (!given.flag('yes')) {
      if (!invocation.interactive) {
        return invocation.misuse('--yes is needed where nobody can be asked', 'usage')
      }
      const { createAsker } = await import('./ask.ts')
      const asker = createAsker(invocation)
      const answer = await asker.ask({
        text: 'This deletes all its users and tokens for ever. Type the id of the tenant to go on',
        read: (line) =>
          line === id ? ok(line) : err('that is not the id; Ctrl-C leaves everything as it is'),
      })
      asker.close()
      if (!answer.ok) return invocation.fail(answer.error)
    }
    const { withPeople } = await import('./with-people.ts')
    return await withPeople(invocation, given, async ({ users }) => {
      const removed = await users.removeTenant(id, { userId: null })
      if (!removed.ok) return invocation.refuse(removed.error)
      const { tenantJson } = await import('../src/identity/users/user-json.ts')
      const { users: people, tokens } = removed.value
      invocation.answer(
        { ...tenantJson(removed.value), users: people, tokens },
        `The tenant ${id} is deleted, and with it ${people} users and ${tokens} tokens.`,
      )
      return 0
    })
  },
}
