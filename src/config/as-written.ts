import { formatAddress } from '../lib/address.ts'
import { formatDuration } from '../lib/duration.ts'
import type { Fingerprinted } from './fingerprint.ts'
import type { Settings } from './settings.ts'

type Values = Readonly<Record<string, unknown>>

/**
 * Settings under the keys that a file has for them, so that what is said of a difference can be found in the file.
 * Lengths of time are texts with a unit.
 */
export function asWritten(settings: Settings | Fingerprinted): Values {
  const { server, mcpServers } = settings
  return withDurations({
    ...settings,
    server: isValues(server) ? serverKeys(server) : server,
    mcpServers: Array.isArray(mcpServers)
      ? mcpServers.map((one: unknown) => (isValues(one) ? mcpServerKeys(one) : one))
      : mcpServers,
  })
}

function serverKeys({ name, host, port, tls, ...rest }: Values): Values {
  return {
    name,
    addr: formatAddress({ host: String(host), port: Number(port) }),
    tls: isValues(tls) ? { cert: tls['certFile'], key: tls['keyFile'] } : tls,
    ...rest,
  }
}

/** In a file the keys of a server stand side by side, and there is no word for its kind. */
function mcpServerKeys({ name, reach, rules, userCredential, limits }: Values): Values {
  const { idleMs, ...bounds } = isValues(limits) ? limits : {}
  return {
    name,
    ...(isValues(reach) ? without('kind', reach) : {}),
    ...(isValues(rules) ? rules : {}),
    userCredential: isValues(userCredential) ? without('kind', userCredential) : userCredential,
    ...bounds,
    idleTimeMs: idleMs,
  }
}

const without = (key: string, values: Values): Values =>
  Object.fromEntries(Object.entries(values).filter(([other]) => other !== key))

const withDurations = (values: Values): Values =>
  Object.fromEntries(
    Object.entries(values).map(([key, value]) =>
      key.endsWith('Ms') && typeof value === 'number'
        ? [key.slice(0, -2), formatDuration(value)]
        : [key, withDurationsIn(value)],
    ),
  )

function withDurationsIn(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withDurationsIn)
  return isValues(value) ? withDurations(value) : value
}

/** A section, not a list and not a secret. */
const isValues = (value: unknown): value is Values =>
  typeof value === 'object' &&
  value !== null &&
  [Object.prototype, null].includes(Object.getPrototypeOf(value) as object | null)
