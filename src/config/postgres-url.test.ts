import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parsePostgresUrl } from './postgres-url.ts'

const read = (text: string): unknown => {
  const result = parsePostgresUrl(text)
  if (!result.ok) return result.error
  const { password, ignored, ...rest } = result.value
  const given = Object.entries(rest).filter(([, value]) => value !== null)
  return {
    ...Object.fromEntries(given),
    ...(password ? { password: password.reveal() } : {}),
    ...(ignored.length > 0 ? { ignored } : {}),
  }
}

describe('parsePostgresUrl', () => {
  it.each<[string, unknown]>([
    ['postgres://u:p@h:5433/d', { host: 'h', port: 5433, database: 'd', user: 'u', password: 'p' }],
    ['postgresql://u@h', { host: 'h', user: 'u' }],
    ['POSTGRES://h', { host: 'h' }],
    ['postgres:///d', { database: 'd' }],
    [
      'postgres://u:p%40%3A%2F@[::1]:1/d%20e',
      { host: '::1', port: 1, database: 'd e', user: 'u', password: 'p@:/' },
    ],
    ['postgres://u:a:b@h/d', { host: 'h', database: 'd', user: 'u', password: 'a:b' }],
    ['postgres://u:@h/d', { host: 'h', database: 'd', user: 'u' }],
    ['postgres://%2Fvar%2Frun/d', { host: '/var/run', database: 'd' }],
    [
      'postgres:///d?host=/var/run/postgresql&port=5433&user=u',
      { host: '/var/run/postgresql', port: 5433, database: 'd', user: 'u' },
    ],
    [
      'postgres://h/d?sslmode=verify-full&sslrootcert=ca.pem',
      { host: 'h', database: 'd', sslmode: 'verify-full', sslRootCert: 'ca.pem' },
    ],
    ['postgres://h/d?sslrootcert=system', { host: 'h', database: 'd' }],
    [
      'postgres://h/d?application_name=x&connect_timeout=3',
      { host: 'h', database: 'd', ignored: ['application_name', 'connect_timeout'] },
    ],
  ])('reads %s', (text, expected) => {
    expect(read(text)).toEqual(expected)
  })

  it.each([
    '',
    'h',
    'mysql://h/d',
    'postgres:/h/d',
    'postgres://u:p@q@h/d',
    'postgres://h:0/d',
    'postgres://h:65536/d',
    'postgres://h:/d?port=x',
    'postgres://a,b/d',
    'postgres://a:1,b:2/d',
    'postgres:///d?host=a,b',
    'postgres:///d?host=a&port=1,2',
    'postgres://h/d?sslmode=allow',
    'postgres://h/d?options=-c%20role%3Dadmin',
    'postgres://h/d?sslkey=k',
    'postgres://h/d?frobnicate=1',
    'postgres://u:%zz@h/d',
    'postgres://h%0A/d',
    'postgres://u%00options%00-c/d',
    'postgres://u:a%00b@h/d',
    'postgres:///d?user=u%00x',
    'postgres://h/d#fragment',
    'postgres://[::1/d',
  ])('refuses %s', (text) => {
    expect(parsePostgresUrl(text).ok).toBe(false)
  })

  it('reads back any user, password and database that is encoded, and never quotes one it refuses', () => {
    const word = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
      .filter((text) => !text.includes('\0'))
    fc.assert(
      fc.property(word, word, word, (user, password, database) => {
        const url = `postgres://${encodeURIComponent(user)}:${encodeURIComponent(password)}@h/${encodeURIComponent(database)}`
        expect(read(url)).toEqual({ host: 'h', user, password, database })
      }),
    )
    fc.assert(
      fc.property(fc.string(), (text) => {
        const result = parsePostgresUrl(`postgres://u:Hunter2-${text}`)
        if (!result.ok) expect(result.error).not.toContain('Hunter2')
      }),
    )
  })
})
