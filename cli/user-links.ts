import type { Command } from './command.ts'

export const command: Command = {
  name: 'user links',
  summary: 'list which accounts of providers are which users',
  async run(invocation, given) {
    const { withPeople } = await import('./with-people.ts')
    return await withPeople(invocation, given, async ({ links, settings }) => {
      const { columns, printable } = await import('./text.ts')
      const all = await links.list()
      const nameOf = (issuer: string): string =>
        settings.auth.oidc.find((provider) => provider.issuer === issuer)?.name ?? issuer
      const rows = all.map(
        ({ issuer, subject, user }) =>
          [
            user ? `${user.name} (${user.tenant})` : 'a deleted user',
            `${printable(nameOf(issuer))}  ${printable(subject)}`,
          ] as const,
      )
      const width = Math.max(0, ...rows.map(([left]) => left.length))
      invocation.answer(
        all.map(({ issuer, subject, user }) => ({
          issuer,
          subject,
          user_id: user?.id ?? null,
          username: user?.name ?? null,
          tenant_id: user?.tenant ?? null,
        })),
        rows.length === 0
          ? 'Nobody signs in with a provider yet.'
          : columns(rows, { indent: 0, left: width, width: 200 }),
      )
      return 0
    })
  },
}
