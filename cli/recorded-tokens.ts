import type { AuditLog } from '../src/audit/open.ts'
import type { IssuedToken, Tokens } from '../src/identity/tokens.ts'
import type { TokenRefusal } from '../src/identity/token-refusal.ts'
import type { Clock } from '../src/lib/clock.ts'
import { Fault } from '../src/lib/fault.ts'
import type { Result } from '../src/lib/result.ts'
import { accountName } from './account-name.ts'

/**
 * The same tokens; each change of them, and each refused one, is an entry of the audit. A new token's entry
 * is written before its value is handed out: a token that nothing records is ended again, unseen.
 */
export function recordedTokens(
  tokens: Tokens,
  audit: Pick<AuditLog, 'record' | 'flush'>,
  clock: Clock,
): Tokens {
  const principal = `local:${accountName()}`
  const record = <T>(action: string, target: string | undefined, result: Result<T, TokenRefusal>): void => {
    audit.record({
      kind: 'administration',
      outcome: result.ok ? 'done' : 'refuse',
      at: clock.now(),
      principal,
      wire: 'cli',
      action,
      ...(target === undefined ? {} : { target }),
      ...(result.ok ? {} : { rule: result.error.rule }),
    })
  }
  const written = async ({ record: { id } }: IssuedToken): Promise<void> => {
    try {
      await audit.flush()
    } catch (cause) {
      const removed = await tokens.remove(id).catch(() => undefined)
      if (removed?.ok) record('token.remove', id, removed)
      throw new Fault(
        'store_unavailable',
        removed?.ok
          ? `the audit record cannot be written, so the new token ${id} was removed again, unseen`
          : `the audit record cannot be written; the new token ${id} was not shown to anybody: remove it`,
        { cause },
      )
    }
  }
  return {
    find: (idOrHashPrefix) => tokens.find(idOrHashPrefix),
    list: () => tokens.list(),
    async add(input, options) {
      const added = await tokens.add(input, options)
      record('token.add', added.ok ? added.value.record.id : undefined, added)
      if (added.ok) await written(added.value)
      return added
    },
    async rotate(id, graceMs) {
      const rotated = await tokens.rotate(id, graceMs)
      // What was typed is recorded only where it named a token: it could be a token's value by mistake.
      record('token.rotate', rotated.ok ? rotated.value.predecessor.id : undefined, rotated)
      if (rotated.ok) await written(rotated.value)
      return rotated
    },
    async remove(idOrHashPrefix) {
      const removed = await tokens.remove(idOrHashPrefix)
      record('token.remove', removed.ok ? removed.value.id : undefined, removed)
      return removed
    },
  }
}
