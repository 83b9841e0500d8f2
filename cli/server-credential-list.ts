import type { Command } from './command.ts'

export const command: Command = {
  name: 'server credential list',
  summary: 'list who has left a credential for which MCP server, never the values',
  arguments: [{ name: 'SERVER', summary: 'only those for this server', optional: true }],
  async run(invocation, given) {
    const { withCredentials, credentialJson } = await import('./with-credentials.ts')
    return await withCredentials(invocation, given, async ({ credentials }) => {
      const server = given.argument('SERVER')
      const records = await credentials.list(server === undefined ? {} : { server })
      const { shortTime } = await import('./moment.ts')
      const { columns, printable } = await import('./text.ts')
      const rows = records.map(
        (record) =>
          [
            record.server,
            `${printable(record.principal)} (tenant ${printable(record.tenant)}), ${shortTime(record.updatedAt)}`,
          ] as const,
      )
      const left = Math.max(0, ...rows.map(([name]) => name.length))
      invocation.answer(
        records.map(credentialJson),
        rows.length === 0 ? 'Nobody has left a credential.' : columns(rows, { indent: 0, left, width: 100 }),
      )
      return 0
    })
  },
}
