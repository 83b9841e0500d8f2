/** Who calls: one person, one service, or an OAuth client on behalf of one. */
export interface Principal {
  readonly kind: 'service' | 'user' | 'client' | 'local'
  /** Stable identifier: the owner of a token, the id of a user. */
  readonly id: string
  /** What logs and lists show. Never a credential value. */
  readonly name: string
}
