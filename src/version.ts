import { readFileSync } from 'node:fs'

/** The version in package.json, from the sources as from the built package. */
export function version(): string {
  for (const place of ['../package.json', '../../package.json']) {
    try {
      const text = readFileSync(new URL(place, import.meta.url), 'utf8')
      const { name, version } = JSON.parse(text) as { name?: unknown; version?: unknown }
      if (name === 'postern' && typeof version === 'string') return version
    } catch {
      // Not at this depth: the built package lies one folder deeper.
    }
  }
  return 'unknown'
}
