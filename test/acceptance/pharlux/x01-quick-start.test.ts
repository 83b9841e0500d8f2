import { spawn } from 'node:child_process'
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { Client } from 'pg'
import type { Serving } from '../../support/postern.ts'
import { type TestDatabase, testPostgres } from '../../support/postgres.ts'
import { configuration, openRoom, type Room, served } from '../pgedge/room.ts'

let database: TestDatabase
let room: Room
let gateway: Serving

beforeAll(async () => {
  database = await (await testPostgres()).createDatabase()
  const client = new Client({ connectionString: database.url })
  await client.connect()
  await client.query('CREATE TABLE metrics (n int); INSERT INTO metrics SELECT generate_series(1, 7)')
  await client.query('GRANT SELECT ON metrics TO PUBLIC')
  await client.end()
  room = await openRoom({ 'postern.yaml': configuration({ databases: [served('shop', database)] }) })
  // `postern`, and a `sudo` that does what it is told: as whoever runs the test.
  const bin = room.path('bin')
  await mkdir(bin)
  await symlink(fileURLToPath(new URL('../../../bin/postern', import.meta.url)), `${bin}/postern`)
  await writeFile(`${bin}/sudo`, '#!/bin/sh\nexec "$@"\n')
  await chmod(`${bin}/sudo`, 0o755)
  gateway = await room.serve()
})

afterAll(async () => {
  await room?.close()
  await database?.drop()
})

/** Runs lines as a person would type them. */
async function shell(
  lines: string,
): Promise<{ readonly code: number | null; readonly out: string; readonly err: string }> {
  const child = spawn('bash', ['-eu', '-c', lines], {
    cwd: room.dir,
    env: { ...process.env, PATH: `${room.path('bin')}:${process.env['PATH'] ?? ''}` },
  })
  let out = ''
  let err = ''
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()))
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve))
  return { code, out, err }
}

it('X1 the quick start works line by line, and nothing has to be stopped for it', async () => {
  const { code, out, err } = await shell(`
# 1. Create the bootstrap admin on the host.
sudo postern user add \\
--username alice \\
--password 'your-strong-password' \\
--admin

# 2. Log in to get a JWT.
TOKEN=$(curl -s -X POST ${gateway.url}/api/v1/auth/login \\
-H "Content-Type: application/json" \\
-d '{"username":"alice","password":"your-strong-password"}' | jq -r .token)

# 3. Use the token on subsequent requests.
curl -s -X POST ${gateway.url}/api/v1/query \\
-H "Content-Type: application/json" \\
-H "Authorization: Bearer $TOKEN" \\
-d '{"sql":"SELECT count(*) FROM metrics"}'
`)
  expect(err).toContain('Warning: others can see a password on the command line')
  expect(code, err).toBe(0)
  const [said, answer] = out.trim().split('\n')
  expect(said).toMatch(/^User alice \(admin\) of tenant default can sign in now/)
  expect(JSON.parse(answer ?? '')).toMatchObject({
    columns: [{ name: 'count' }],
    rows: [[7]],
    row_count: 1,
  })
})

it('X1 the password in a variable works, too', async () => {
  const { code, out } = await shell(`
PW=another-strong-password
sudo postern user add --username carol --admin --password "$PW"
unset PW
curl -s -X POST ${gateway.url}/api/v1/auth/login -H "Content-Type: application/json" \\
-d '{"username":"carol","password":"another-strong-password"}' | jq -r .expires_in
`)
  expect(code).toBe(0)
  expect(out).toMatch(/\n3600\n$/)
})
