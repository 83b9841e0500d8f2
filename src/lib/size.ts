import { err, ok, type Result } from './result.ts'

const UNITS = {
  b: 1,
  kb: 1_000,
  mb: 1_000_000,
  gb: 1_000_000_000,
  kib: 1_024,
  mib: 1_048_576,
  gib: 1_073_741_824,
} as const

/** Reads an amount of data: `64KiB`, `8MiB`, `1GB`, or a bare number of bytes. Units ignore case. */
export function parseSize(text: string | number): Result<number, string> {
  if (typeof text === 'number')
    return Number.isSafeInteger(text) && text >= 0 ? ok(text) : err(`${text} is not a number of bytes`)
  const match = /^(\d{1,9})(?:\.(\d{1,3}))?\s*(b|kb|mb|gb|kib|mib|gib)?$/i.exec(text.trim())
  if (!match) return err(`"${text}" is not a size: use 65536, 64KiB, 8MiB or 1GB`)
  const unit = (match[3] ?? 'b').toLowerCase() as keyof typeof UNITS
  const bytes = Number(`${match[1]}.${match[2] ?? '0'}`) * UNITS[unit]
  return Number.isSafeInteger(bytes) ? ok(bytes) : err(`"${text}" is not a whole number of bytes`)
}
