import { CredentialEnded } from '../identity/credential-ended.ts'
import type { EndReason } from '../identity/lifelines.ts'
import { type Refusal, refusal } from './refusal.ts'

/** What a call is refused with that was stopped before it was done. `client`: its caller went away or gave it up. */
export type StoppedBy = EndReason | 'client'

const STOPPED: Readonly<Record<StoppedBy, Refusal>> = {
  client: refusal('cancelled', 'request.aborted', 'the call was given up by its caller'),
  revoked: refusal('unauthorized', 'credential.revoked', 'this credential was revoked, and its call stopped'),
  expired: refusal('unauthorized', 'credential.expired', 'this credential expired, and its call was stopped'),
  changed: refusal(
    'cancelled',
    'credential.changed',
    'what this credential may do changed while the call ran',
    { allowed: 'the same call again, if it is still allowed' },
  ),
  shutdown: refusal('cancelled', 'shutdown', 'Postern is shutting down'),
}

export const stopRefusal = (by: StoppedBy): Refusal => STOPPED[by]

/** What a call is refused with that took longer than any call may. */
export const overdueRefusal = (limitMs: number): Refusal =>
  refusal('cancelled', 'limits.requestTimeout', `the call took longer than ${limitMs} ms and was stopped`, {
    allowed: 'a call that does less, such as a narrower query',
  })

/** Who stopped the call of an aborted signal. */
export const stoppedBy = ({ reason }: AbortSignal): StoppedBy =>
  reason instanceof CredentialEnded ? reason.reason : 'client'
