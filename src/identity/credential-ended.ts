import type { EndReason } from './lifelines.ts'

/**
 * The reason of an `AbortSignal` whose call is stopped because its credential ended. Without it, whatever runs
 * under the signal takes the end for a caller who went away, and so does the record.
 */
export class CredentialEnded extends Error {
  override readonly name = 'CredentialEnded'
  readonly reason: EndReason

  constructor(reason: EndReason) {
    super(`the credential of this call has ended: ${reason}`)
    this.reason = reason
  }
}
