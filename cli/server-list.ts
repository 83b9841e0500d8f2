import type { Command } from './command.ts'

export const command: Command = {
  name: 'server list',
  summary: 'list the MCP servers of the configuration',
  description:
    'Names, transports and rules; never an address, a command or a credential. What each is doing is at ' +
    'GET /api/v1/admin/servers of the running gateway.',
  async run(invocation, given) {
    const { readSettings } = await import('./read-settings.ts')
    const read = await readSettings(invocation, given, 'administer')
    if (!read.ok) return read.error
    const servers = read.value.settings.mcpServers.map((server) => ({
      name: server.name,
      transport: server.reach.kind === 'stdio' ? 'stdio' : server.reach.transport,
      level: server.rules.level,
      auth_tokens: server.rules.authTokens,
      scopes: server.rules.scopes,
      user_credential:
        server.userCredential === null ? null : server.userCredential.required ? 'required' : 'optional',
    }))
    const { columns, printable } = await import('./text.ts')
    const rows = servers.map(
      (server) =>
        [
          server.name,
          [
            server.transport === 'auto' ? 'transport found out' : server.transport,
            `level ${server.level}`,
            server.auth_tokens === null
              ? 'any valid credential'
              : `tokens ${server.auth_tokens.map(printable).join(', ') || '(none)'}`,
            ...(server.scopes.length === 0 ? [] : [`scopes ${server.scopes.join(' ')}`]),
            ...(server.user_credential === null ? [] : [`own credential ${server.user_credential}`]),
          ].join(', '),
        ] as const,
    )
    const left = Math.max(0, ...rows.map(([name]) => name.length))
    invocation.answer(
      servers,
      rows.length === 0
        ? 'No MCP server is configured.'
        : columns(rows, { indent: 0, left, width: invocation.stdout.columns ?? 100 }),
    )
    return 0
  },
}
