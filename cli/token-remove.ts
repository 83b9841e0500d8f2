import type { Command } from './command.ts'
import { TOKEN_FILE_OPTION } from './token-file-option.ts'

export const command: Command = {
  name: 'token remove',
  summary: 'revoke a token, by id or by the beginning of its hash',
  description:
    'The running gateway refuses the token from that moment and closes what it has open: streams, sessions, ' +
    'running queries, database connections.',
  arguments: [{ name: 'ID-or-HASH-PREFIX', summary: 'a token id, or at least 8 characters of its hash' }],
  options: [TOKEN_FILE_OPTION],
  examples: [['postern token remove b3f805a4', 'the token whose hash begins like that']],
  async run(invocation, given) {
    const { withTokens } = await import('./with-tokens.ts')
    return await withTokens(invocation, given, async ({ tokens }) => {
      const removed = await tokens.remove(given.argument('ID-or-HASH-PREFIX') ?? '')
      if (!removed.ok) return invocation.refuse(removed.error)
      const { listedTokenJson } = await import('../src/identity/token-json.ts')
      const { printable } = await import('./text.ts')
      const { id, note } = removed.value
      invocation.answer(
        listedTokenJson(removed.value),
        `Token ${id}${note === '' ? '' : ` (${printable(note)})`} is revoked. It no longer works anywhere.`,
      )
      return 0
    })
  },
}
