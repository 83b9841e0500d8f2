import { describe, expect, it } from 'vitest'
import type { TokenRecord } from '../src/identity/tokens.ts'
import { DAY_MS } from '../src/lib/duration.ts'
import { Secret } from '../src/lib/secret.ts'
import { styleFor } from './style.ts'
import { issuedTokenJson, listedTokenJson } from '../src/identity/token-json.ts'
import { issuedText, listText } from './token-shown.ts'
import { testInvocation } from '../test/support/invocation.ts'

const NOW = Date.UTC(2026, 10, 22, 10, 15, 30)
const { style } = testInvocation().invocation

const record = (changes: Partial<TokenRecord> = {}): TokenRecord => ({
  id: 'token-1234567890',
  note: 'Production API',
  owner: 'Production API',
  level: 'read-only',
  tenant: 'default',
  databases: ['staging'],
  servers: 'all',
  scopes: 'all',
  createdAt: NOW,
  expiresAt: NOW + 90 * DAY_MS,
  hashPrefix: 'b3f805a4c2e7',
  source: 'token-file',
  status: 'valid',
  lastUsedAt: null,
  rotationDue: false,
  ...changes,
})

const token = new Secret('pst_value-of-the-token')

describe('the reply that issues a token', () => {
  it('G6 shows token, id, note, database, expiry with days, hash and the warning, each once', () => {
    const text = issuedText('Token created', { token, record: record() }, NOW, style)
    expect(text).toBe(
      [
        'Token created',
        '',
        '  Token:     pst_value-of-the-token',
        '  ID:        token-1234567890',
        '  Note:      Production API',
        '  Level:     read-only',
        '  Database:  staging',
        '  Expires:   2027-02-20 (90 days from now)',
        '  Hash:      b3f805a4c2e7 (first 12 characters)',
        '',
        'Keep the token in a safe place now. It is shown this once: only its hash is stored.',
      ].join('\n'),
    )
  })

  it('shows what a token was narrowed to', () => {
    const narrow = record({
      owner: 'anna',
      tenant: 'acme',
      databases: ['a', 'b'],
      servers: [],
      scopes: ['stats:read'],
      expiresAt: null,
    })
    const text = issuedText('Token created', { token, record: narrow }, NOW, style)
    for (const line of [
      'Owner:      anna',
      'Tenant:     acme',
      'Databases:  a, b',
      'Servers:    none',
      'Scope:      stats:read',
      'Expires:    Never',
    ])
      expect(text).toContain(line)
  })

  it('has the documented JSON fields, in order', () => {
    expect(Object.keys(issuedTokenJson({ token, record: record() }))).toEqual([
      'id',
      'note',
      'owner',
      'level',
      'tenant',
      'databases',
      'servers',
      'scopes',
      'created_at',
      'expires_at',
      'hash_prefix',
      'token',
    ])
    expect(issuedTokenJson({ token, record: record({ expiresAt: null }) })).toMatchObject({
      token: 'pst_value-of-the-token',
      created_at: '2026-11-22T10:15:30.000Z',
      expires_at: null,
    })
  })
})

describe('the list of tokens', () => {
  it('G6 shows each token, never its value, and the total', () => {
    const text = listText(
      [
        record(),
        record({ id: 'tok_2', note: '', status: 'expired', expiresAt: NOW - 3_600_000, source: 'store' }),
        record({ id: 'tok_3', status: 'revoked', expiresAt: null, createdAt: null, source: 'config' }),
        record({ id: 'tok_4', rotationDue: true, lastUsedAt: NOW - 5 * DAY_MS }),
      ],
      NOW,
      style,
    )
    const blocks = text.split('\n\n')
    expect(blocks[1]).toBe(
      [
        '  ID:         token-1234567890',
        '  Note:       Production API',
        '  Level:      read-only',
        '  Database:   staging',
        '  Hash:       b3f805a4c2e7…',
        '  Created:    2026-11-22 10:15:30',
        '  Expires:    2027-02-20 10:15:30 (90 days from now)',
        '  Last used:  never',
        '  Status:     Valid',
        '  Kept in:    token file',
      ].join('\n'),
    )
    expect(blocks[2]).toMatch(
      /Note: +\(none\)[\s\S]*Expires: +2026-11-22 09:15:30 \(1 hour ago\)[\s\S]*Expired/,
    )
    expect(blocks[3]).toMatch(/Created: +unknown\n +Expires: +Never[\s\S]*Revoked\n.*configuration file/)
    expect(blocks[4]).toMatch(/Last used: +5 days ago\n +Status: +Valid, rotation due/)
    expect(blocks.at(-1)).toBe('Total tokens: 4 (2 valid, 1 expired, 1 revoked)')
  })

  it('says what to do when there are none', () => {
    expect(listText([], NOW, style)).toContain('postern token add')
  })

  it('lets no note of a token file steer the terminal', () => {
    const note = 'a\u001B[2J\u001B]0;owned\u0007\nStatus: Valid'
    const text = listText([record({ note })], NOW, style)
    expect(text.replaceAll('\n', '')).not.toMatch(/\p{Cc}/u)
    expect(text).not.toMatch(/^Status/m)
  })

  it('marks with bold only where the terminal shows it', () => {
    const terminal = Object.assign(testInvocation().invocation.stdout, { isTTY: true })
    expect(listText([record()], NOW, styleFor(terminal, {}))).toContain('\u001B[1m')
    expect(listText([record()], NOW, styleFor(terminal, { NO_COLOR: '1' }))).not.toContain('\u001B')
    expect(listText([record()], NOW, styleFor(terminal, { TERM: 'dumb' }))).not.toContain('\u001B')
  })

  it('has the documented JSON fields', () => {
    expect(Object.keys(listedTokenJson(record())).toSorted()).toEqual(
      [
        'id',
        'note',
        'owner',
        'level',
        'tenant',
        'databases',
        'servers',
        'scopes',
        'created_at',
        'expires_at',
        'hash_prefix',
        'status',
        'last_used_at',
        'rotation_due',
        'source',
      ].toSorted(),
    )
  })
})
