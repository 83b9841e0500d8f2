/**
 * Whether a scope can stand in a challenge as it is (RFC 6749 §3.3). Nothing else may: a quote or a line break
 * would end the header's value, and what follows would be the caller's own.
 */
export const isScopeToken = (scope: string): boolean => /^[\x21\x23-\x5B\x5D-\x7E]+$/.test(scope)
