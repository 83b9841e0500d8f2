import { isIP } from 'node:net'
import { type Refusal, refusal } from '../access/refusal.ts'

export interface HostRules {
  /** Public URL of this server. */
  readonly baseUrl: string
  /** Names, or names with a port, as configured. */
  readonly allowedHosts: readonly string[]
}

/**
 * Guards against DNS rebinding: a page of another site can make its own name resolve to this server, and
 * the browser then sends that name as `Host`. Names that an attacker cannot own are accepted: loopback
 * names, the literal address the connection came in on, the base URL's host, and the configured ones.
 *
 * @param host the `Host` header, or the authority of an absolute-form target
 * @param localAddress the address of this end of the connection
 */
export function checkHost(
  host: string | undefined,
  localAddress: string | undefined,
  rules: HostRules,
): Refusal | null {
  if (host === undefined || host === '') {
    return refusal('invalid_request', 'http.host', 'the Host header is missing')
  }
  const parts = splitHost(host)
  if (parts === null) return refusal('invalid_request', 'http.host', 'the Host header is malformed')
  const { name } = parts
  if (isLoopbackName(name)) return null
  if (isIP(name) !== 0 && name === plainAddress(localAddress)) return null
  const base = splitHost(new URL(rules.baseUrl).host)
  if (base?.name === name) return null
  for (const allowed of rules.allowedHosts) {
    const entry = splitHost(allowed)
    if (entry?.name === name && (entry.port === null || entry.port === parts.port)) return null
  }
  return refusal('host_not_allowed', 'http.host', 'this server does not answer to that Host', {
    allowed: 'the host of server.baseUrl and the names in server.allowedHosts',
  })
}

/** Splits `name`, `name:port`, `[v6]` or `[v6]:port`; `null` when it is none of them. */
export function splitHost(host: string): { readonly name: string; readonly port: string | null } | null {
  const match = /^(?:\[([0-9a-f:.]+)\]|([a-z0-9](?:[a-z0-9._-]*[a-z0-9])?)\.?)(?::(\d{1,5}))?$/i.exec(host)
  if (!match || host.length > 261) return null
  const v6 = match[1]
  if (v6 !== undefined && isIP(v6) !== 6) return null
  const name = (v6 ?? match[2] ?? '').toLowerCase()
  return { name, port: match[3] ?? null }
}

/** RFC 6761 §6.3: `localhost` and names below it are never asked of a name server. */
export function isLoopbackName(name: string): boolean {
  if (name === 'localhost' || name.endsWith('.localhost') || name === '::1') return true
  return isIP(name) === 4 && name.startsWith('127.')
}

/** Takes the IPv4 address out of its IPv6-mapped spelling, as dual-stack sockets report it. */
export function plainAddress(address: string | undefined): string {
  const text = (address ?? '').toLowerCase()
  return text.startsWith('::ffff:') && isIP(text.slice(7)) === 4 ? text.slice(7) : text
}
