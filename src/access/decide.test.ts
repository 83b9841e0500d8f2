import { describe, expect, it } from 'vitest'
import type { Credential } from '../identity/caller.ts'
import { type Grant, LEVELS } from '../identity/grant.ts'
import { decide, decideServer, levelIncludes, OWN_SERVER, type ToolRule } from './decide.ts'

const NOW = 1_800_000_000_000

const credential: Credential = {
  id: 'tok_1',
  kind: 'issued',
  name: 'dashboard',
  createdAt: NOW - 1_000,
  expiresAt: NOW + 1_000,
}

const grant: Grant = {
  tenant: 'default',
  level: 'read-only',
  scopes: 'all',
  servers: 'all',
  databases: 'all',
}

const tool: ToolRule = { name: 'query_database', server: OWN_SERVER, level: 'read-only', scopes: [] }

describe('decide', () => {
  it('allows what level, scope, server and database allow', () => {
    expect(decide(grant, credential, { tool, database: 'sample' }, NOW)).toEqual({
      outcome: 'allow',
      rule: 'level:read-only',
    })
  })

  for (const held of LEVELS) {
    for (const needed of LEVELS) {
      const allowed = LEVELS.indexOf(held) >= LEVELS.indexOf(needed)
      it(`a ${held} credential ${allowed ? 'may' : 'may not'} call a tool of level ${needed}`, () => {
        const decision = decide(
          { ...grant, level: held },
          credential,
          { tool: { ...tool, level: needed } },
          NOW,
        )
        expect(decision.outcome).toBe(allowed ? 'allow' : 'refuse')
        expect(levelIncludes(held, needed)).toBe(allowed)
        if (decision.outcome === 'refuse') {
          expect(decision.refusal.code).toBe('level_too_low')
          expect(decision.refusal.message).toBe(`level ${needed} is needed, this credential has ${held}`)
        }
      })
    }
  }

  it('refuses at the very millisecond of expiry, without leeway', () => {
    expect(decide(grant, credential, { tool }, NOW + 999).outcome).toBe('allow')
    const late = decide(grant, credential, { tool }, NOW + 1_000)
    expect(late).toMatchObject({ outcome: 'refuse', rule: 'credential.expired' })
  })

  it('names every scope that is needed, not only the missing one', () => {
    const scoped = { ...tool, scopes: ['stats:read', 'connections:read'] }
    const decision = decide({ ...grant, scopes: ['stats:read'] }, credential, { tool: scoped }, NOW)
    expect(decision).toMatchObject({
      outcome: 'refuse',
      refusal: { code: 'scope_missing', scopes: ['stats:read', 'connections:read'] },
    })
  })

  it('refuses a database outside the grant and names the ones inside', () => {
    const decision = decide(
      { ...grant, databases: ['staging'] },
      credential,
      { tool, database: 'production' },
      NOW,
    )
    expect(decision).toMatchObject({
      outcome: 'refuse',
      rule: 'database',
      refusal: { code: 'database_not_allowed', candidates: ['staging'] },
    })
  })

  it('refuses what needs a database when the grant has none, whether the call names one or not', () => {
    const none = { ...grant, databases: [] }
    const sql = { ...tool, needsDatabase: true }
    for (const call of [{ tool: sql }, { tool: sql, database: 'staging' }]) {
      expect(decide(none, credential, call, NOW)).toMatchObject({
        outcome: 'refuse',
        refusal: { code: 'database_not_allowed', message: 'this credential may use no database' },
      })
    }
    expect(decide(none, credential, { tool }, NOW).outcome).toBe('allow')
  })

  it('asks for the server first, so that nothing is learnt of the tools behind it', () => {
    const elsewhere = { ...tool, server: 'payroll', level: 'admin' as const, scopes: ['x'] }
    const decision = decide({ ...grant, servers: ['wiki'], scopes: [] }, credential, { tool: elsewhere }, NOW)
    expect(decision).toMatchObject({ outcome: 'refuse', rule: 'server' })
    if (decision.outcome === 'refuse') expect(decision.refusal.message).not.toContain('payroll')
  })

  it('does not narrow its own tools by the list of servers', () => {
    expect(decide({ ...grant, servers: ['wiki'] }, credential, { tool }, NOW).outcome).toBe('allow')
  })
})

describe('decide, for a server with authTokens', () => {
  const guarded: ToolRule = { ...tool, server: 'payroll', authTokens: ['production'] }
  const named = (kind: Credential['kind'], name: string): Credential => ({ ...credential, kind, name })
  const rows: readonly (readonly [string, Credential, Grant['servers'], string])[] = [
    ['a static token that is listed', named('static', 'production'), 'all', 'allow'],
    ['a static token that is not', named('static', 'staging'), 'all', 'server.authTokens'],
    ['a token of that name from elsewhere', named('issued', 'production'), 'all', 'server.authTokens'],
    [
      'a token of that name from the token file',
      named('token-file', 'production'),
      'all',
      'server.authTokens',
    ],
    ['a caller without credential', named('none', 'production'), 'all', 'server.authTokens'],
    ['an issued token for this server', named('issued', 'x'), ['wiki', 'payroll'], 'allow'],
    ['a static token for this server that is not listed', named('static', 'staging'), ['payroll'], 'allow'],
    ['an issued token for another server', named('issued', 'x'), ['wiki'], 'server'],
    [
      'a listed static token that is bound to another server',
      named('static', 'production'),
      ['wiki'],
      'server',
    ],
    ['a token for no server', named('static', 'production'), [], 'server'],
  ]
  it.each(rows)('%s: %s', (_, shown, servers, expected) => {
    const decision = decide({ ...grant, servers }, shown, { tool: guarded }, NOW)
    expect(decision.outcome === 'allow' ? 'allow' : decision.rule).toBe(expected)
    if (decision.outcome === 'refuse') expect(decision.refusal.code).toBe('server_not_allowed')
    const server = decideServer({ ...grant, servers }, shown, guarded, NOW)
    expect(server.outcome).toBe(decision.outcome)
  })

  it('lets nobody in with an empty list but those who were granted the server by name', () => {
    const nobody = { ...guarded, authTokens: [] }
    expect(decide(grant, named('static', 'production'), { tool: nobody }, NOW).outcome).toBe('refuse')
    expect(decide({ ...grant, servers: ['payroll'] }, credential, { tool: nobody }, NOW).outcome).toBe(
      'allow',
    )
  })

  it('lets every valid credential in without a list', () => {
    for (const authTokens of [null, undefined]) {
      const open: ToolRule = { ...tool, server: 'wiki', ...(authTokens === null ? { authTokens } : {}) }
      expect(decide(grant, credential, { tool: open }, NOW).outcome).toBe('allow')
    }
  })

  it('lets an expired credential in nowhere', () => {
    const expired = { ...named('static', 'production'), expiresAt: NOW }
    expect(decideServer(grant, expired, guarded, NOW)).toMatchObject({ rule: 'credential.expired' })
  })
})

describe('decide, for a tool that the filter leaves out', () => {
  const filtered: ToolRule = { ...tool, server: 'wiki', level: 'admin', scopes: ['x'], filteredOut: true }

  it('refuses whoever asks, before level and scope are looked at', () => {
    for (const level of LEVELS) {
      expect(decide({ ...grant, level, scopes: [] }, credential, { tool: filtered }, NOW)).toMatchObject({
        rule: 'server.toolFilter',
        refusal: { code: 'tool_not_allowed' },
      })
    }
  })

  it('asks for the server before that', () => {
    expect(decide({ ...grant, servers: [] }, credential, { tool: filtered }, NOW)).toMatchObject({
      rule: 'server',
    })
  })
})
