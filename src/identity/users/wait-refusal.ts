import type { Blocked } from './login-limits.ts'
import { userRefusal, type UserRefusal } from './user-refusal.ts'

/** Says how long to wait, never for whom. */
export const waitRefusal = ({ rule, waitMs }: Blocked): UserRefusal =>
  userRefusal('too_many_requests', rule, 'too many wrong passwords: wait, then try again', {
    retryAfterS: Math.max(1, Math.ceil(waitMs / 1_000)),
  })
