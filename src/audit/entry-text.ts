import type { AuditEvent } from './entry.ts'

/**
 * An event as the JSON text that is hashed and stored. Names come from callers, and PostgreSQL takes neither
 * NUL nor half a character out of JSON: one such entry would be refused for ever, and everything behind it.
 */
export function entryText(event: AuditEvent): string {
  const text = JSON.stringify(event)
  // Both are written as escapes, which nearly no entry holds.
  return text.includes('\\u') ? JSON.stringify(event, storable) : text
}

const storable = (_key: string, value: unknown): unknown =>
  typeof value === 'string' ? value.toWellFormed().replaceAll('\0', '\uFFFD') : value
