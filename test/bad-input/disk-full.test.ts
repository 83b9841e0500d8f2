import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { type RunningGateway, servingPid, startGateway } from '../support/gateway.ts'
import { ask, postern, serve, workFolder } from '../support/postern.ts'
import { type TestDatabase, testPostgres } from '../support/postgres.ts'
import { watch } from './bystander.ts'

/**
 * A full disk without a disk: a limit on the size of files (RLIMIT_FSIZE) makes every write beyond it fail,
 * for root, too, and needs neither a mount nor a loop device, which containers do not have. It can be set on
 * a process that runs, and taken away again. The error is EFBIG where a full disk gives ENOSPC; SQLite and
 * everything above it see a write that failed.
 */
function limitFiles(pid: number, bytes: number | 'unlimited'): void {
  execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:unlimited`], { timeout: 20_000 })
}

const limitOf = (pid: number): string =>
  /^Max file size +(\S+)/m.exec(readFileSync(`/proc/${pid}/limits`, 'utf8'))?.[1] ?? ''

const WAIT = { timeout: 20_000, interval: 50 }

let gateway: RunningGateway | undefined
let database: TestDatabase | undefined
const removers: (() => Promise<void>)[] = []
afterEach(async () => {
  await gateway?.close()
  await database?.drop()
  gateway = undefined
  database = undefined
  await Promise.all(removers.splice(0).map((remove) => remove()))
})

const flushFailures = (running: RunningGateway): number =>
  running.log().filter(({ msg }) => msg.startsWith('Could not write the audit record')).length

describe('a full disk', () => {
  it('keeps the gateway from starting, with a message; it starts when there is room, and nothing is lost', async () => {
    const { dir, remove } = await workFolder()
    removers.push(remove)
    for (const bytes of [1, 5_000, 40_000]) {
      const full = await postern(['serve', '--addr', '127.0.0.1:0', '--json'], {
        cwd: dir,
        through: ['prlimit', `--fsize=${bytes}:unlimited`],
      })
      expect(full.code, full.stderr).toBe(1)
      const failure = JSON.parse(full.stdout) as { code: string; message: string }
      expect(['store_unavailable', 'data_dir_unusable']).toContain(failure.code)
      expect(failure.message).toContain(join(dir, '.postern'))
      expect(failure.message).toMatch(/space|full/)
      expect(full.stdout + full.stderr).not.toMatch(/\n\s+at |node_modules|pst_/)
    }
    const serving = await serve(['serve', '--addr', '127.0.0.1:0'], { cwd: dir })
    expect(serving.token, 'the credential was not used up by a start that failed').toMatch(/^pst_/)
    expect((await serving.stop()).code).toBe(0)
  })

  it('stops no answer while entries of the record can wait, loses none, and says so', async () => {
    database = await (await testPostgres()).createDatabase()
    gateway = await startGateway({
      configuration: { databases: [{ name: 'main', url: database.readerUrl }] },
    })
    const running = gateway
    const { id, token } = await running.issue({ note: 'reader' })
    const pid = servingPid(running.serving)

    limitFiles(pid, (await stat(join(running.dir, '.postern', 'postern.db-wal'))).size)
    expect(limitOf(pid)).not.toBe('unlimited')
    const bystander = watch(running.url, token)
    await bystander.answered(50)
    await vi.waitFor(() => {
      expect(flushFailures(running)).toBeGreaterThan(1)
    }, WAIT)
    const [line] = running.log().filter(({ msg }) => msg.startsWith('Could not write the audit record'))
    expect(line).toMatchObject({ level: 'ERROR' })
    expect(Number(line?.['waiting'])).toBeGreaterThan(0)

    // What must be stored before it is answered is refused instead, and nothing of it happens.
    const issued = await ask(`${running.url}/api/v1/admin/tokens`, running.admin, {
      json: { note: 'no room' },
    })
    expect(issued).toMatchObject({ status: 503, body: { error: 'unavailable', code: 'store_unavailable' } })
    expect(JSON.stringify(issued.body)).not.toMatch(/SQLITE|pst_|\.db/)
    const removed = await ask(`${running.url}/api/v1/admin/tokens/${id}`, running.admin, { method: 'DELETE' })
    expect(removed).toMatchObject({ status: 503, body: { code: 'store_unavailable' } })

    limitFiles(pid, 'unlimited')
    const seen = await bystander.stop()
    expect(seen.failures).toEqual([])
    await vi.waitFor(async () => {
      const { body } = await ask(
        `${running.url}/api/v1/admin/audit?credential=${id}&tool=sql&kind=execution&limit=1000`,
        running.admin,
      )
      expect((body as { entries: unknown[] }).entries).toHaveLength(seen.answers)
    }, WAIT)
    expect((await ask(`${running.url}/api/v1/admin/audit/verify`, running.admin)).body).toMatchObject({
      intact: true,
    })
    const { body } = await ask(`${running.url}/api/v1/admin/tokens`, running.admin)
    expect(
      (body as { tokens: { note: string; status: string }[] }).tokens.map(
        ({ note, status }) => `${note} ${status}`,
      ),
    ).toEqual(['reader valid', 'first start valid'])
    expect((await running.issue({ note: 'there is room' })).token).toMatch(/^pst_/)
  })

  it('that stays full lets nothing happen that cannot be recorded: calls get 503, then all goes on', async () => {
    database = await (await testPostgres()).createDatabase()
    gateway = await startGateway({
      configuration: {
        databases: [{ name: 'main', url: database.readerUrl }],
        audit: { bufferEvents: 40 },
      },
    })
    const running = gateway
    const { id, token } = await running.issue({ note: 'reader' })
    const pid = servingPid(running.serving)
    const query = () => ask(`${running.url}/api/v1/query`, token, { json: { sql: 'SELECT 1' } })
    let answered = 0
    limitFiles(pid, (await stat(join(running.dir, '.postern', 'postern.db-wal'))).size)
    for (;;) {
      const { status, body, headers } = await query()
      if (status === 200) {
        answered += 1
        expect(answered).toBeLessThan(100)
        continue
      }
      expect(status).toBe(503)
      expect(body).toMatchObject({ error: 'unavailable', code: 'store_unavailable' })
      expect((body as { message: string }).message).toContain('store')
      expect(Number(headers.get('retry-after'))).toBeGreaterThan(0)
      break
    }
    expect((await ask(`${running.url}/health`, null)).status).toBe(200)
    limitFiles(pid, 'unlimited')
    await vi.waitFor(async () => {
      expect((await query()).status).toBe(200)
    }, WAIT)
    answered += 1
    await vi.waitFor(async () => {
      const { body } = await ask(
        `${running.url}/api/v1/admin/audit?credential=${id}&tool=sql&kind=execution&limit=1000`,
        running.admin,
      )
      expect((body as { entries: unknown[] }).entries).toHaveLength(answered)
    }, WAIT)
    expect((await ask(`${running.url}/api/v1/admin/audit/verify`, running.admin)).body).toMatchObject({
      intact: true,
    })
  })
})
