import type { Command } from './command.ts'
import { TOKEN_FILE_OPTION } from './token-file-option.ts'

export const command: Command = {
  name: 'token list',
  summary: 'list all tokens, never their values',
  options: [TOKEN_FILE_OPTION],
  async run(invocation, given) {
    const { withTokens } = await import('./with-tokens.ts')
    return await withTokens(invocation, given, async ({ tokens }) => {
      const { listText, listedDocument } = await import('./token-shown.ts')
      const records = await tokens.list()
      invocation.answer(
        records.map(listedDocument),
        listText(records, invocation.clock.now(), invocation.style),
      )
      return 0
    })
  },
}
