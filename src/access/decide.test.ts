import { describe, expect, it } from 'vitest'
import type { Credential } from '../identity/caller.ts'
import { type Grant, LEVELS } from '../identity/grant.ts'
import { decide, levelIncludes, OWN_SERVER, type ToolRule } from './decide.ts'

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
