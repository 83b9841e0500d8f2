import { hash, timingSafeEqual } from 'node:crypto'

/** SHA-256 of UTF-8 text, as 64 lower-case hex digits: how credentials are stored and looked up. */
export function sha256Hex(text: string): string {
  return hash('sha256', text, 'hex')
}

/** Compares two digests of equal length without telling by time where they differ. */
export function digestsEqual(a: string, b: string): boolean {
  const left = Buffer.from(a, 'latin1')
  const right = Buffer.from(b, 'latin1')
  return left.length === right.length && timingSafeEqual(left, right)
}
