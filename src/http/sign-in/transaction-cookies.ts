import { TRANSACTION_LIFE_MS } from '../../identity/oidc/transactions.ts'

/**
 * Where a browser keeps the sign-ins that it has under way: a cookie for each, so that several tabs work. A page of
 * another site cannot send one (`SameSite=Lax`, and the provider's answer is a navigation), a script cannot read one,
 * and with https no other host of the domain can set one (`__Host-`, RFC 6265bis §4.1.3.2).
 */
export interface TransactionCookies {
  /** What this browser keeps under an id. */
  sealedOf(id: string): string | undefined
  /** `Set-Cookie` headers that keep one more, and forget the oldest of too many. */
  keep(id: string, sealed: string): readonly string[]
  /** The header that forgets one. */
  forget(id: string): string
}

/** More would soon be longer than all headers of a request may be. */
const MOST_KEPT = 6

const ID = /^[0-9a-f]{32}$/

/** @param baseUrl of this server, as browsers know it */
export function transactionCookies(header: string | null, baseUrl: string): TransactionCookies {
  const secure = new URL(baseUrl).protocol === 'https:'
  const prefix = secure ? '__Host-postern-sign-in-' : 'postern-sign-in-'
  const attributes = secure
    ? 'Path=/; Secure; HttpOnly; SameSite=Lax'
    : 'Path=/api/v1/auth/oidc; HttpOnly; SameSite=Lax'
  const there = readCookies(header, prefix)
  const forget = (id: string): string => `${prefix}${id}=; Max-Age=0; ${attributes}`
  return {
    sealedOf: (id) => there.get(id),
    keep(id, sealed) {
      const tooMany = [...there.keys()].slice(0, Math.max(0, there.size - MOST_KEPT + 1))
      const kept = `${prefix}${id}=${sealed}; Max-Age=${TRANSACTION_LIFE_MS / 1_000}; ${attributes}`
      return [kept, ...tooMany.map(forget)]
    },
    forget,
  }
}

/** Those of ours, oldest first as browsers send them (RFC 6265 §5.4); of two with one name neither is believed. */
function readCookies(header: string | null, prefix: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  const twice = new Set<string>()
  for (const pair of (header ?? '').split(';')) {
    const [name = '', ...rest] = pair.trim().split('=')
    const id = name.slice(prefix.length)
    if (!name.startsWith(prefix) || !ID.test(id)) continue
    if (found.has(id)) twice.add(id)
    found.set(id, rest.join('='))
  }
  for (const id of twice) found.delete(id)
  return found
}
