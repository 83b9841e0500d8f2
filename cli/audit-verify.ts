import type { Command } from './command.ts'

export const command: Command = {
  name: 'audit verify',
  summary: 'prove that the record was not altered',
  description:
    'Walks the whole hash chain. Exit code 0 means that every entry follows from the one before it, 1 that one ' +
    'does not, and which. Keep the hash of the last entry elsewhere: it also shows a chain that was rebuilt.',
  async run(invocation, given) {
    const { withAudit } = await import('./with-audit.ts')
    return await withAudit(invocation, given, async ({ audit }) => {
      const { verificationJson } = await import('../src/audit/json.ts')
      const found = await audit.verify()
      if (found.firstBad) {
        const details = verificationJson(found)
        return invocation.fail({
          code: 'audit_broken',
          message: `The record was changed: ${found.firstBad.message}.`,
          details,
        })
      }
      const since =
        found.floorSeq === 0 ? '' : ` after ${found.floorSeq}, the last one that retention removed`
      invocation.answer(
        verificationJson(found),
        [
          `The record is intact: ${found.checked} ${found.checked === 1 ? 'entry' : 'entries'}${since}.`,
          invocation.style.dim(`Hash of the last one (${found.headSeq}): ${found.headHash}`),
          '',
        ].join('\n'),
      )
      return 0
    })
  },
}
