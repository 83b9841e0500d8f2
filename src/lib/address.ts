import { isIPv4, isIPv6 } from 'node:net'
import { err, ok, type Result } from './result.ts'

export interface Address {
  /** Without brackets; empty for every interface. */
  readonly host: string
  /** 0 asks the system for a free port. */
  readonly port: number
}

const HOST_NAME = /^(?=.{1,253}$)[a-z0-9_](?:[a-z0-9_-]{0,62})(?:\.[a-z0-9_](?:[a-z0-9_-]{0,62}))*$/i

/** Reads `127.0.0.1:8080`, `[::1]:8080`, `gateway.example.com:8080`, or `:8080` for every interface. */
export function parseAddress(text: string): Result<Address, string> {
  const hint = 'use 127.0.0.1:8080 for this machine only, or :8080 for every interface'
  const match = /^(?:\[([^\]]+)\]|([^:[\]]*)):(\d{1,5})$/.exec(text.trim())
  if (!match) return err(`is not an address: ${hint}`)
  const port = Number(match[3])
  if (port > 65_535) return err(`names port ${port}: the highest port is 65535`)
  const bracketed = match[1]
  if (bracketed !== undefined)
    return isIPv6(bracketed)
      ? ok({ host: bracketed, port })
      : err(`has brackets around something that is not IPv6`)
  const host = match[2] ?? ''
  if (host === '' || host === '*') return ok({ host: '', port })
  if (!isIPv4(host) && (!HOST_NAME.test(host) || /^[\d.]+$/.test(host)))
    return err(`does not name a host: ${hint}`)
  return ok({ host, port })
}

/** The way an address is written: the inverse of `parseAddress`. */
export const formatAddress = ({ host, port }: Address): string =>
  `${isIPv6(host) ? `[${host}]` : host}:${port}`

/**
 * Whether a host can only be reached from this machine. Every interface (an empty host, `0.0.0.0`, `::`)
 * is not, and a name other than `localhost` is not, because what it resolves to can change.
 */
export function isLoopbackHost(host: string): boolean {
  const name = host.toLowerCase()
  if (name === 'localhost') return true
  if (isIPv4(name)) return name.startsWith('127.')
  if (!isIPv6(name)) return false
  return canonicalIPv6(name) === '[::1]' || /^\[::ffff:7f[0-9a-f]{2}:/.test(canonicalIPv6(name))
}

/** Every spelling of an IPv6 address in one form (RFC 5952), by the URL parser; a zone makes it no loopback. */
function canonicalIPv6(host: string): string {
  try {
    return new URL(`http://[${host}]`).hostname
  } catch {
    return ''
  }
}
