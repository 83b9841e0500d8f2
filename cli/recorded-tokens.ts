import { userInfo } from 'node:os'
import type { AuditSink } from '../src/audit/entry.ts'
import type { Tokens } from '../src/identity/tokens.ts'
import type { TokenRefusal } from '../src/identity/token-refusal.ts'
import type { Clock } from '../src/lib/clock.ts'
import type { Result } from '../src/lib/result.ts'

/** Whoever may write the store may administer it: the audit names the account of the operating system. */
function accountName(): string {
  try {
    return userInfo().username
  } catch {
    // A user id without a name, as containers have.
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}

/** The same tokens; each change of them, and each refused one, is an entry of the audit. */
export function recordedTokens(tokens: Tokens, audit: AuditSink, clock: Clock): Tokens {
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
  return {
    list: () => tokens.list(),
    async add(input, options) {
      const added = await tokens.add(input, options)
      record('token.add', added.ok ? added.value.record.id : undefined, added)
      return added
    },
    async rotate(id, graceMs) {
      const rotated = await tokens.rotate(id, graceMs)
      // What was typed is recorded only where it named a token: it could be a token's value by mistake.
      record('token.rotate', rotated.ok ? rotated.value.predecessor.id : undefined, rotated)
      return rotated
    },
    async remove(idOrHashPrefix) {
      const removed = await tokens.remove(idOrHashPrefix)
      record('token.remove', removed.ok ? removed.value.id : undefined, removed)
      return removed
    },
  }
}
