import { BlockList, isIP } from 'node:net'
import { isLoopbackHost } from '../../lib/address.ts'

/**
 * Addresses that a provider's documents must not send Postern to, unless the issuer itself is there: this machine, and
 * links on which clouds keep the credentials of the machine.
 */
const NEVER = new BlockList()
NEVER.addSubnet('0.0.0.0', 8)
NEVER.addSubnet('127.0.0.0', 8)
NEVER.addSubnet('169.254.0.0', 16)
NEVER.addAddress('::', 'ipv6')
NEVER.addAddress('::1', 'ipv6')
NEVER.addSubnet('fe80::', 10, 'ipv6')

/** Whether an address may be connected to for the sake of a host that only a provider's document names. */
export const isReachable = (address: string): boolean =>
  !NEVER.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

/**
 * What is wrong with an address that a provider's documents name; `null` when nothing is. The issuer is the operator's
 * word; everything else is the provider's, or that of whoever took it over.
 */
export function wrongEndpoint(endpoint: string, issuer: string): string | null {
  if (!URL.canParse(endpoint)) return 'is no URL'
  const url = new URL(endpoint)
  const own = new URL(issuer)
  if (url.username !== '' || url.password !== '') return 'holds a user or a password'
  const host = bareHost(url)
  const ownIsHere = isLoopbackHost(bareHost(own))
  const isHere = isLoopbackHost(host) || host.endsWith('.localhost')
  if (
    url.protocol !== 'https:' &&
    !(url.protocol === 'http:' && own.protocol === 'http:' && ownIsHere && isHere)
  ) {
    return 'is not https'
  }
  if (host === bareHost(own)) return null
  if (ownIsHere && isHere) return null
  return isHere || (isIP(host) !== 0 && !isReachable(host))
    ? 'is an address of this machine or of its link'
    : null
}

/** Without brackets. */
export const bareHost = ({ hostname }: URL): string => hostname.replace(/^\[|\]$/g, '')
