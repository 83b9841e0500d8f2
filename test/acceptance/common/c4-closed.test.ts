import { spawn } from 'node:child_process'
import { readdir, stat } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it } from 'vitest'
import { configurationText, logLines } from '../../support/gateway.ts'
import { ask, postern, rpc, type Serving, serve, workFolder } from '../../support/postern.ts'

const POSTERN = fileURLToPath(new URL('../../../bin/postern', import.meta.url))

const started: Serving[] = []
const folders: (() => Promise<void>)[] = []

afterEach(async () => {
  await Promise.all(started.splice(0).map((serving) => serving.stop()))
  await Promise.all(folders.splice(0).map((remove) => remove()))
})

async function folder(files: Readonly<Record<string, string>> = {}): Promise<string> {
  const { dir, remove } = await workFolder(files)
  folders.push(remove)
  return dir
}

/** Starts where nothing is configured but the port. */
async function start(cwd: string, ...args: string[]): Promise<Serving> {
  const serving = await serve(['serve', '--addr', '127.0.0.1:0', ...args], { cwd })
  started.push(serving)
  return serving
}

const stop = async (serving: Serving): Promise<void> => {
  started.splice(started.indexOf(serving), 1)
  expect((await serving.stop()).code).toBe(0)
}

const tokensIn = (text: string): string[] => text.match(/pst_[\w-]+/g) ?? []

const noCredential = (serving: Serving): boolean =>
  logLines(serving.stderr()).some(({ msg }) => msg.includes('there is no valid credential'))

describe('C4 with nothing configured', () => {
  it('C4 the server is closed: nobody gets in without the one credential', async () => {
    const serving = await start(await folder())
    for (const path of ['/mcp/tools', '/api/v1/admin/tokens', '/api/v1/openapi.json', '/sse']) {
      expect((await ask(`${serving.url}${path}`, null)).status).toBe(401)
    }
    expect((await rpc(serving.url, null, 'tools/list')).status).toBe(401)
    expect((await rpc(serving.url, 'admin', 'tools/list')).status).toBe(401)
    expect((await ask(`${serving.url}/health`, null)).body).toEqual({ status: 'ok' })
  })

  it('C4 the first start makes one admin credential that works on every wire and expires', async () => {
    const serving = await start(await folder())
    const { token } = serving
    expect(token).toMatch(/^pst_[\w-]{43}$/)
    const { body } = await ask(`${serving.url}/api/v1/admin/tokens`, token)
    const { tokens } = body as { tokens: Record<string, unknown>[] }
    expect(tokens).toHaveLength(1)
    expect(tokens[0]).toMatchObject({ level: 'admin', owner: 'admin', note: 'first start', status: 'valid' })
    const days = (Date.parse(String(tokens[0]?.['expires_at'])) - Date.now()) / 86_400_000
    expect(days).toBeGreaterThan(13.9)
    expect(days).toBeLessThanOrEqual(14)
    // Without a database or a server there is nothing to call yet, and nothing is offered that could not answer.
    expect((await rpc(serving.url, token, 'tools/list')).body).toMatchObject({ result: { tools: [] } })
    expect((await ask(`${serving.url}/mcp/tools`, token)).body).toEqual({ tools: [] })
    const call = await ask(`${serving.url}/mcp/tools/schema_search`, token, { json: { query: 'x' } })
    expect(call).toMatchObject({ status: 404, body: { code: 'unknown_tool' } })
  })

  it('C4 it is printed once: to standard output, in no log, and by no later start', async () => {
    const cwd = await folder()
    const first = await start(cwd)
    const token = first.token ?? ''
    await stop(first)
    expect(tokensIn(first.stdout())).toEqual([token])
    expect(tokensIn(first.stderr())).toEqual([])
    const second = await start(cwd)
    expect(second.token).toBeNull()
    expect((await ask(`${second.url}/mcp/tools`, token)).status).toBe(200)
    await stop(second)
    expect(tokensIn(second.stdout() + second.stderr())).toEqual([])
    expect(noCredential(second)).toBe(false)
  })

  it('C4 for people it is printed once, too, in a line for the shell', async () => {
    const cwd = await folder()
    const child = spawn(POSTERN, ['serve', '--addr', '127.0.0.1:0'], {
      cwd,
      env: { PATH: process.env['PATH'], HOME: cwd },
      timeout: 30_000,
    })
    let shown = ''
    let log = ''
    child.stdout.on('data', (chunk: Buffer) => (shown += chunk.toString()))
    child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()))
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve))
    await expect.poll(() => shown, { timeout: 20_000 }).toContain('Ctrl-C stops it')
    child.kill('SIGTERM')
    expect(await ended).toBe(0)
    expect(shown).toMatch(/shown this once: only its hash is stored/)
    expect(shown).toMatch(/^ +export POSTERN_TOKEN=pst_[\w-]{43}$/m)
    expect(tokensIn(shown)).toHaveLength(1)
    expect(tokensIn(log)).toEqual([])
  })

  it('C4 when it is removed no new one comes: the log says how to make one', async () => {
    const cwd = await folder()
    const first = await start(cwd)
    const { body } = await ask(`${first.url}/api/v1/admin/tokens`, first.token)
    const [only] = (body as { tokens: { id: string }[] }).tokens
    await stop(first)
    expect((await postern(['token', 'remove', only?.id ?? ''], { cwd })).code).toBe(0)
    for (let times = 0; times < 2; times += 1) {
      const later = await start(cwd)
      expect(later.token).toBeNull()
      expect((await ask(`${later.url}/mcp/tools`, first.token)).status).toBe(401)
      await stop(later)
      expect(tokensIn(later.stdout() + later.stderr())).toEqual([])
      expect(noCredential(later)).toBe(true)
    }
    const { stdout } = await postern(['token', 'add', '--note', 'back', '--level', 'admin', '--json'], {
      cwd,
    })
    const { token } = JSON.parse(stdout) as { token: string }
    const open = await start(cwd)
    expect((await ask(`${open.url}/api/v1/admin/tokens`, token)).status).toBe(200)
    await stop(open)
    expect(noCredential(open)).toBe(false)
  })

  it('C4 a token made before the first start, or a configured one, takes its place', async () => {
    const before = await folder()
    await postern(['token', 'add', '--note', 'mine'], { cwd: before })
    expect((await start(before)).token).toBeNull()
    const configured = await folder({
      'postern.yaml': configurationText({ auth: { tokens: { ci: 'c'.repeat(32) } } }),
    })
    const serving = await start(configured)
    expect(serving.token).toBeNull()
    expect((await ask(`${serving.url}/mcp/tools`, 'c'.repeat(32))).status).toBe(200)
    expect((await ask(`${serving.url}/mcp/tools`, null)).status).toBe(401)
  })

  it('C4 a first start that fails does not use the credential up unseen', async () => {
    const cwd = await folder()
    const blocker = createServer()
    await new Promise<void>((done) => {
      blocker.listen(0, '127.0.0.1', done)
    })
    const { port } = blocker.address() as AddressInfo
    const failed = await postern(['serve', '--addr', `127.0.0.1:${port}`, '--json'], { cwd })
    expect(failed.code).toBe(1)
    expect(tokensIn(failed.stdout + failed.stderr)).toEqual([])
    await new Promise((done) => {
      blocker.close(done)
    })
    expect((await start(cwd)).token).toMatch(/^pst_/)
  })

  it('C4 without authentication only loopback is served, read-only, and no credential is made', async () => {
    const cwd = await folder()
    const outside = await postern(['serve', '--no-auth', '--addr', '0.0.0.0:0', '--json'], { cwd })
    expect(outside.code).not.toBe(0)
    expect(outside.stdout + outside.stderr).toContain('config_insecure')
    const open = await start(cwd, '--no-auth')
    expect(open.token).toBeNull()
    expect((await ask(`${open.url}/mcp/tools`, null)).status).toBe(200)
    expect(await ask(`${open.url}/api/v1/admin/tokens`, null)).toMatchObject({
      status: 403,
      body: { rule: 'level' },
    })
    await stop(open)
    expect((await start(cwd)).token).toMatch(/^pst_/)
  })

  it('C4 what it stores is for its own user only', async () => {
    const cwd = await folder()
    await start(cwd)
    const data = join(cwd, '.postern')
    // The last file that a start writes, by way of another name.
    await expect.poll(() => readdir(data), { timeout: 10_000 }).toContain('running.json')
    expect((await stat(data)).mode & 0o077).toBe(0)
    for (const name of await readdir(data)) {
      expect((await stat(join(data, name))).mode & 0o077, name).toBe(0)
    }
  })
})
