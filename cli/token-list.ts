import type { Command } from './command.ts'
import { TOKEN_FILE_OPTION } from './token-file-option.ts'

export const command: Command = {
  name: 'token list',
  summary: 'list all tokens, never their values',
  options: [TOKEN_FILE_OPTION],
  async run(invocation, given) {
    const { withTokens } = await import('./with-tokens.ts')
    return await withTokens(invocation, given, async ({ tokens }) => {
      const { listText } = await import('./token-shown.ts')
      const { listedTokenJson } = await import('../src/identity/token-json.ts')
      const records = await tokens.list()
      invocation.answer(
        records.map(listedTokenJson),
        listText(records, invocation.clock.now(), invocation.style),
      )
      return 0
    })
  },
}
