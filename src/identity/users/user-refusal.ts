/**
 * Why something about a user was refused. The same shape as `Refusal` of the access room, which stands above this one
 * and takes these values as they are.
 */
export interface UserRefusal {
  readonly code:
    | 'invalid_arguments'
    | 'not_found'
    | 'conflict'
    | 'level_too_low'
    | 'login_failed'
    | 'sign_in_failed'
    | 'sign_in_refused'
    | 'too_many_requests'
  /** `user.name`, `user.password`, … */
  readonly rule: string
  readonly message: string
  readonly allowed?: string
  /** Ids of users that could have been meant. */
  readonly candidates?: readonly string[]
  /** Seconds after which trying again makes sense. */
  readonly retryAfterS?: number
}

export const userRefusal = (
  code: UserRefusal['code'],
  rule: string,
  message: string,
  more: Pick<UserRefusal, 'allowed' | 'candidates' | 'retryAfterS'> = {},
): UserRefusal => ({ code, rule, message, ...more })
