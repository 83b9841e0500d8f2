import type { AuditSink } from '../audit/entry.ts'
import type { Caller } from '../identity/caller.ts'
import type { Clock } from '../lib/clock.ts'
import type { Observe } from '../observe/observation.ts'
import type { ControlContext } from './control-context.ts'

export interface LoginRecord {
  /** @param target the provider, where there is one */
  allowed(context: ControlContext, caller: Caller, target?: string): void
  /** @param rule why; never who it was tried for: people type passwords into the field of the name */
  refused(context: ControlContext, rule: string, target?: string): void
}

/** Within one window, refusals beyond these are counted instead of listed one by one: anybody can cause them. */
const WINDOW_MS = 60_000
const LISTED_PER_WINDOW = 100

/** Records every sign-in of one kind. */
export function recordLogins(
  audit: Pick<AuditSink, 'record'>,
  clock: Clock,
  observe: Observe,
  action = 'auth.login',
): LoginRecord {
  let windowEndsAt = 0
  let listed = 0
  let counted = 0

  const endWindow = (now: number): void => {
    if (counted > 0) {
      const count = counted
      audit.record({
        kind: 'authentication',
        outcome: 'refuse',
        at: now,
        wire: 'rest',
        action,
        rule: 'login.flood',
        count,
      })
      observe({
        kind: 'authentication.refused',
        requestId: '',
        reason: 'login.flood',
        remoteAddress: '',
        count,
      })
    }
    listed = 0
    counted = 0
    windowEndsAt = now + WINDOW_MS
  }

  return {
    allowed({ requestId, remoteAddress }, { principal, credential, grant }, target) {
      audit.record({
        kind: 'authentication',
        outcome: 'allow',
        at: clock.now(),
        requestId,
        principal: principal.id,
        credentialId: credential.id,
        tenant: grant.tenant,
        wire: 'rest',
        action,
        ...(target === undefined ? {} : { target }),
        remoteAddress,
      })
    },
    refused({ requestId, remoteAddress }, rule, target) {
      const at = clock.now()
      if (at >= windowEndsAt) endWindow(at)
      if (listed >= LISTED_PER_WINDOW) {
        // Written also when nothing follows.
        if (counted === 0) clock.after(windowEndsAt - at, () => endWindow(clock.now()))
        counted += 1
        return
      }
      listed += 1
      audit.record({
        kind: 'authentication',
        outcome: 'refuse',
        at,
        requestId,
        wire: 'rest',
        action,
        ...(target === undefined ? {} : { target }),
        rule,
        remoteAddress,
      })
      observe({ kind: 'authentication.refused', requestId, reason: rule, remoteAddress })
    },
  }
}
