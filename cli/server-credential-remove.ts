import type { Command } from './command.ts'
import { PRINCIPAL_OPTIONS, tenantOf } from './principal-options.ts'

export const command: Command = {
  name: 'server credential remove',
  summary: 'remove what a principal left for an MCP server',
  description: 'What the running gateway has open with it ends. Works without the key file, too.',
  arguments: [{ name: 'SERVER', summary: 'the MCP server it was left for' }],
  options: PRINCIPAL_OPTIONS,
  examples: [['postern server credential remove wiki --principal alice', 'alice uses the wiki no more']],
  async run(invocation, given) {
    const principal = given.text('principal')
    if (principal === undefined)
      return invocation.misuse('--principal NAME is needed: whose credential it is')
    const { withCredentials } = await import('./with-credentials.ts')
    return await withCredentials(invocation, given, async ({ credentials }) => {
      const server = given.argument('SERVER') ?? ''
      const tenant = tenantOf(given)
      const removed = await credentials.remove({ tenant, principal, server })
      if (!removed) {
        const { refusal } = await import('../src/access/refusal.ts')
        const message = `"${principal}" of tenant "${tenant}" has left no credential for "${server}"`
        return invocation.refuse(
          refusal('not_found', 'upstream_credential', message, {
            allowed: 'what postern server credential list shows',
          }),
        )
      }
      const { printable } = await import('./text.ts')
      invocation.answer(
        { removed, server, tenant, principal },
        `The credential of ${printable(principal)} for ${printable(server)} is removed.`,
      )
      return 0
    })
  },
}
