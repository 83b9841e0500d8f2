import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openHarness, optionsOf } from '../../test/support/databases.ts'
import { testPostgres, type TestDatabase } from '../../test/support/postgres.ts'

let database: TestDatabase
let superuser: Client
const roles: string[] = []

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  superuser = new Client({ connectionString: database.url })
  await superuser.connect()
  await superuser.query(`
    REVOKE CREATE ON SCHEMA public FROM PUBLIC;
    CREATE TABLE orders (id int, note text); CREATE TABLE stock (id int);
    CREATE FUNCTION as_owner() RETURNS int LANGUAGE sql SECURITY DEFINER AS 'SELECT 1';
    REVOKE EXECUTE ON FUNCTION as_owner FROM PUBLIC;
  `)
})
afterAll(async () => {
  for (const role of roles) await superuser?.query(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
  await superuser?.end()
  await database?.drop()
})

async function powersOf(role: string, setup: string): Promise<readonly string[]> {
  roles.push(role)
  await superuser.query(`CREATE ROLE ${role} LOGIN PASSWORD 'x'; ${setup}`)
  const url = database.readerUrl.replace(/\/\/[^@]*@/, `//${role}:x@`)
  const harness = await openHarness([optionsOf(url)])
  await expect.poll(() => harness.databases.status()[0]?.state).toBe('up')
  await harness.databases.close()
  const said = harness.observations.filter((each) => each.kind === 'database.role')
  expect(said.length).toBeLessThanOrEqual(1)
  return said[0]?.powers ?? []
}

describe('the third wall is looked at', () => {
  test('a role that can only read has no powers worth naming', async () => {
    expect(
      await powersOf('audit_reader', 'GRANT SELECT ON ALL TABLES IN SCHEMA public TO audit_reader'),
    ).toEqual([])
  })

  test('what a role could do beyond reading is named', async () => {
    const powers = await powersOf(
      'audit_strong',
      `ALTER ROLE audit_strong CREATEROLE CREATEDB REPLICATION BYPASSRLS;
       GRANT pg_read_server_files, pg_execute_server_program, pg_signal_backend TO audit_strong;
       GRANT INSERT ON orders TO audit_strong; GRANT UPDATE (id) ON stock TO audit_strong;
       GRANT CREATE ON SCHEMA public TO audit_strong; GRANT EXECUTE ON FUNCTION as_owner TO audit_strong;
       SET ROLE audit_strong; CREATE TABLE public.own (a int); RESET ROLE`,
    )
    expect(powers).toEqual([
      'bypasses row security',
      'may create roles',
      'may create databases',
      'may replicate the whole server',
      'is a member of pg_execute_server_program',
      'is a member of pg_read_server_files',
      'is a member of pg_signal_backend',
      'owns 1 table, view or sequence',
      'may change rows of 3 tables',
      'may create objects in schema public',
      'may call 1 function that runs as its owner',
    ])
  })
})
