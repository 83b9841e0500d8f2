/**
 * Why an administrative act on a token was refused. The same shape as `Refusal` of the access room, which
 * stands above this one and takes these values as they are.
 */
export interface TokenRefusal {
  readonly code: 'invalid_arguments' | 'not_found' | 'conflict'
  /** `token.note`, `token.prefix`, … */
  readonly rule: string
  readonly message: string
  readonly allowed?: string
  /** Ids of tokens that could have been meant. */
  readonly candidates?: readonly string[]
}

export const tokenRefusal = (
  code: TokenRefusal['code'],
  rule: string,
  message: string,
  more: Pick<TokenRefusal, 'allowed' | 'candidates'> = {},
): TokenRefusal => ({ code, rule, message, ...more })
