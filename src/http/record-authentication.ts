import type { AuditSink } from '../audit/entry.ts'
import type { Unauthenticated } from '../identity/authenticate.ts'
import type { Caller } from '../identity/caller.ts'
import type { Clock } from '../lib/clock.ts'
import type { Observe } from '../observe/observation.ts'

/** Who asked, as far as the record of an authentication needs it. */
export interface Asker {
  readonly requestId: string
  readonly remoteAddress: string
}

export interface AuthenticationRecord {
  allowed(asker: Asker, caller: Caller): void
  refused(asker: Asker, why: Unauthenticated): void
  /** Writes what was only counted so far. */
  close(): void
}

/** Within one window, refusals beyond these are counted per address instead of listed one by one. */
const WINDOW_MS = 60_000
const LISTED_PER_WINDOW = 100
const LISTED_PER_ADDRESS = 20
const COUNTED_ADDRESSES = 32

/**
 * Records every authentication. Anybody who reaches the port can be refused as often as they like, so a
 * row for each refusal would let them fill the disk and push real entries past their retention. At most
 * 133 rows a minute are written: 100 in full, the rest as counts per address.
 */
export function recordAuthentications(
  audit: AuditSink,
  clock: Clock,
  observe: Observe,
): AuthenticationRecord {
  let listed = 0
  /** Listed refusals by address: at most `LISTED_PER_WINDOW` entries. */
  const listedBy = new Map<string, number>()
  /** Counted refusals by address; those of further addresses are counted under the empty one. */
  const countedBy = new Map<string, number>()
  let cancelWindow: (() => void) | undefined

  const endWindow = (): void => {
    cancelWindow = undefined
    for (const [remoteAddress, count] of countedBy) {
      audit.record({
        kind: 'authentication',
        outcome: 'refuse',
        at: clock.now(),
        wire: 'http',
        rule: 'credential.flood',
        count,
        ...(remoteAddress === '' ? {} : { remoteAddress }),
      })
      observe({ kind: 'authentication.refused', requestId: '', reason: 'flood', remoteAddress, count })
    }
    listed = 0
    listedBy.clear()
    countedBy.clear()
  }

  return {
    allowed({ requestId, remoteAddress }, caller) {
      audit.record({
        kind: 'authentication',
        outcome: 'allow',
        at: clock.now(),
        requestId,
        principal: caller.principal.id,
        credentialId: caller.credential.id,
        tenant: caller.grant.tenant,
        wire: 'http',
        remoteAddress,
      })
    },

    refused({ requestId, remoteAddress }, { reason, credentialId }) {
      cancelWindow ??= clock.after(WINDOW_MS, endWindow)
      const before = listedBy.get(remoteAddress) ?? 0
      if (listed >= LISTED_PER_WINDOW || before >= LISTED_PER_ADDRESS) {
        const known = countedBy.has(remoteAddress) || countedBy.size < COUNTED_ADDRESSES
        const key = known ? remoteAddress : ''
        countedBy.set(key, (countedBy.get(key) ?? 0) + 1)
        return
      }
      listed += 1
      listedBy.set(remoteAddress, before + 1)
      const recognised = credentialId === undefined ? {} : { credentialId }
      audit.record({
        kind: 'authentication',
        outcome: 'refuse',
        at: clock.now(),
        requestId,
        wire: 'http',
        rule: `credential.${reason}`,
        remoteAddress,
        ...recognised,
      })
      observe({ kind: 'authentication.refused', requestId, reason, remoteAddress, ...recognised })
    },

    close() {
      cancelWindow?.()
      endWindow()
    },
  }
}
