import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { inspect } from 'node:util'
import { testPostgres } from '../../../test/support/postgres.ts'
import { tenantKey } from './tenant-key.ts'
import { ROLE_PREFIX, tenantRoles } from './tenant-roles.ts'

const key = tenantKey(Buffer.alloc(32, 7))

describe('the roles of tenants', () => {
  it('are the same for the same key, and others for another key, tenant, kind or prefix', () => {
    const { name, password, verifier } = tenantRoles(key, 'postern').of('harbour', 'read')
    const again = tenantRoles(tenantKey(Buffer.alloc(32, 7)), 'postern').of('harbour', 'read')
    expect([again.name, again.password.reveal(), again.verifier]).toEqual([name, password.reveal(), verifier])
    const others = [
      tenantRoles(tenantKey(Buffer.alloc(32, 8)), 'postern').of('harbour', 'read'),
      tenantRoles(key, 'postern').of('harbour2', 'read'),
      tenantRoles(key, 'postern').of('harbour', 'write'),
      tenantRoles(key, 'other').of('harbour', 'read'),
    ]
    expect(new Set([name, ...others.map((role) => role.name)]).size).toBe(5)
    expect(new Set([password.reveal(), ...others.map((role) => role.password.reveal())]).size).toBe(5)
  })

  it('do not tell by their name whose they are, and never show their password', () => {
    const role = tenantRoles(key, 'postern').of('harbour', 'write')
    expect(role.name).toMatch(/^postern_w_[0-9a-f]{32}$/)
    expect(role.verifier).toMatch(/^SCRAM-SHA-256\$4096:[\w+/=]+\$[\w+/=]+:[\w+/=]+$/)
    const shown = inspect(role, { depth: 9, getters: true }) + JSON.stringify(role)
    expect(shown).not.toContain(role.password.reveal())
  })

  it('have groups', () => {
    expect(tenantRoles(key, 'acme').groups).toEqual({ readers: 'acme_readers', writers: 'acme_writers' })
  })

  it.each(['', 'pg_x', 'Acme', '1a', 'a-b', 'a"b', 'a'.repeat(29), 'postern\n'])(
    'do not take %j as prefix',
    (prefix) => {
      expect(ROLE_PREFIX.test(prefix)).toBe(false)
      expect(() => tenantRoles(key, prefix)).toThrow(TypeError)
    },
  )

  it('fit into a name of PostgreSQL with the longest prefix', () => {
    expect(tenantRoles(key, 'a'.repeat(28)).of('t'.repeat(63), 'read').name).toHaveLength(63)
  })
})

describe('PostgreSQL', () => {
  const role = tenantRoles(key, 'postern_test_login').of('harbour', 'read')
  let superuser: Client
  beforeAll(async () => {
    const postgres = await testPostgres()
    superuser = new Client({ connectionString: postgres.url() })
    await superuser.connect()
    await superuser.query(`CREATE ROLE ${role.name} LOGIN PASSWORD '${role.verifier}'`)
  })
  afterAll(async () => {
    await superuser.query(`DROP ROLE IF EXISTS ${role.name}`)
    await superuser.end()
  })

  const logIn = async (password: string): Promise<unknown> => {
    const { host, port } = await testPostgres()
    const client = new Client({ host, port, database: 'postgres', user: role.name, password })
    await client.connect()
    try {
      return (await client.query('SELECT session_user AS role')).rows[0]
    } finally {
      await client.end()
    }
  }

  it('keeps the verifier as it is, and lets in who has the password', async () => {
    const { rows } = await superuser.query('SELECT rolpassword FROM pg_authid WHERE rolname = $1', [
      role.name,
    ])
    expect(rows).toEqual([{ rolpassword: role.verifier }])
    expect(await logIn(role.password.reveal())).toEqual({ role: role.name })
  })

  it('lets in nobody who has the verifier or another password', async () => {
    const other = tenantRoles(key, 'postern_test_login').of('harbour', 'write').password.reveal()
    for (const password of [role.verifier, other, 'x']) {
      await expect(logIn(password)).rejects.toMatchObject({ code: '28P01' })
    }
  })
})
