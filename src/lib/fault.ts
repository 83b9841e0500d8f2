/**
 * Something that should have worked and did not: the database is away, the disk is full. Thrown, never
 * returned. `message` is written for the caller and holds no internals; `cause` is for the log.
 */
export class Fault extends Error {
  readonly code: FaultCode
  /** Seconds after which trying again makes sense, where that is known. */
  readonly retryAfterS: number | undefined

  constructor(code: FaultCode, message: string, options: { cause?: unknown; retryAfterS?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'Fault'
    this.code = code
    this.retryAfterS = options.retryAfterS
  }
}

/** Every code has its line in `docs/errors.md`; a test compares the two. */
export const FAULT_CODES = [
  'config_invalid',
  'data_dir_unusable',
  'address_in_use',
  'address_unusable',
  'store_unavailable',
  'store_newer',
  'database_unavailable',
  'database_busy',
  'tenant_not_ready',
  'model_unavailable',
  'upstream_unavailable',
  'upstream_busy',
  'upstream_timeout',
  'upstream_invalid',
  'provider_unavailable',
  'provider_invalid',
  'credential_changed',
  'shutting_down',
  'internal',
] as const

export type FaultCode = (typeof FAULT_CODES)[number]
