import type { CliCode } from './codes.ts'
import type { Command } from './command.ts'
import { PRINCIPAL_OPTIONS, tenantOf } from './principal-options.ts'

export const command: Command = {
  name: 'server credential set',
  summary: 'leave a credential for an MCP server on behalf of a principal',
  description:
    'The value is read from standard input, or asked for on a terminal, and kept sealed. It takes the place of the one ' +
    'before; what the running gateway has open with that one ends.',
  arguments: [{ name: 'SERVER', summary: 'an MCP server of the configuration that has userCredential' }],
  options: PRINCIPAL_OPTIONS,
  examples: [
    ['postern server credential set wiki --principal alice < key.txt', 'what alice uses the wiki with'],
  ],
  async run(invocation, given) {
    const principal = given.text('principal')
    if (principal === undefined)
      return invocation.misuse('--principal NAME is needed: whose credential it is')
    const { withCredentials, credentialJson } = await import('./with-credentials.ts')
    return await withCredentials(invocation, given, async ({ settings, credentials }) => {
      const name = given.argument('SERVER') ?? ''
      const takers = settings.mcpServers.filter(({ userCredential }) => userCredential !== null)
      const place = takers.find((server) => server.name === name)?.userCredential
      if (!place) {
        const known = settings.mcpServers.some((server) => server.name === name)
        return invocation.fail({
          code: 'unknown_server' satisfies CliCode,
          message: known
            ? `MCP server "${name}" takes no credentials of principals: give it userCredential in the configuration`
            : `there is no MCP server "${name}" in the configuration`,
          details: { candidates: takers.map((server) => server.name) },
        })
      }
      const { askSecret } = await import('./ask-secret.ts')
      const value = await askSecret(invocation, `Credential of ${principal} for ${name}`)
      if (!value.ok) return invocation.fail(value.error)
      const { checkCredential } = await import('../src/upstreams/credentials/check-value.ts')
      const wrong = checkCredential(place, value.value.reveal())
      if (wrong !== null) {
        return invocation.fail({ code: 'invalid_answer' satisfies CliCode, message: wrong })
      }
      const tenant = tenantOf(given)
      const record = await credentials.put({ tenant, principal, server: name }, value.value)
      if (!record) {
        return invocation.refuse({
          code: 'conflict',
          rule: 'upstream_credential',
          message: `the tenant "${tenant}" was deleted`,
        })
      }
      const { printable } = await import('./text.ts')
      invocation.answer(
        credentialJson(record),
        `The credential of ${printable(principal)} for ${name} is kept. It is not shown again.`,
      )
      return 0
    })
  },
}
