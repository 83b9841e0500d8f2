import { parseDuration } from '../src/lib/duration.ts'
import type { Command } from './command.ts'
import { TOKEN_FILE_OPTION } from './token-file-option.ts'

export const command: Command = {
  name: 'token rotate',
  summary: 'replace a token by a successor that allows the same',
  description:
    'The successor is shown this once. The old token ends at once, with everything that it has open, or ' +
    'after the grace period.',
  arguments: [{ name: 'ID', summary: 'the id of the token to replace' }],
  options: [
    {
      name: 'grace',
      value: 'TIME',
      summary: 'how long the old token still works: 30m, 24h, 2d',
      standard: 'not at all',
    },
    TOKEN_FILE_OPTION,
  ],
  examples: [['postern token rotate tok_… --grace 24h', 'leave a day to bring the successor to its place']],
  async run(invocation, given) {
    const grace = given.text('grace')
    const parsed = grace === undefined ? undefined : parseDuration(grace)
    if (parsed?.ok === false) return invocation.misuse(parsed.error, 'invalid_value')

    const { withTokens } = await import('./with-tokens.ts')
    return await withTokens(invocation, given, async ({ tokens }) => {
      const rotated = await tokens.rotate(given.argument('ID') ?? '', parsed?.value ?? 0)
      if (!rotated.ok) return invocation.refuse(rotated.error)
      const { issuedText } = await import('./token-shown.ts')
      const { issuedTokenJson, listedTokenJson } = await import('../src/identity/token-json.ts')
      const { shortTime } = await import('./moment.ts')
      const now = invocation.clock.now()
      const { predecessor } = rotated.value
      const end =
        predecessor.status === 'valid' && predecessor.expiresAt !== null
          ? `works until ${shortTime(predecessor.expiresAt)} UTC`
          : 'no longer works'
      invocation.answer(
        { ...issuedTokenJson(rotated.value), predecessor: listedTokenJson(predecessor) },
        `${issuedText('Token rotated', rotated.value, now, invocation.style)}\n\nThe old token ${predecessor.id} ${end}.`,
      )
      return 0
    })
  },
}
