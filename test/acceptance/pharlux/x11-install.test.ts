import { execFileSync, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { posternPath } from '../../../cli/program-paths.ts'
import { ask, type Finished, postern, workFolder } from '../../support/postern.ts'

const WAIT = { timeout: 25_000, interval: 50 }
const PASSWORD = 'a quite good password'
const isRoot = process.geteuid?.() === 0
const checkout = dirname(dirname(posternPath()))

/** Where a service can see this checkout, wherever it lies and whoever may enter the folders above it. */
const REACHED = '/mnt/postern'
const reachCheckout = `mount -t tmpfs tmpfs /mnt && mkdir ${REACHED} && mount --bind ${checkout} ${REACHED}`
const NODE = process.execPath.startsWith(`${checkout}/`)
  ? join(REACHED, relative(checkout, process.execPath))
  : process.execPath
const POSTERN = `${NODE} ${REACHED}/bin/postern`

const closers: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close()
})

interface Installed {
  readonly root: string
  readonly node: string
  readonly postern: string
  readonly files: readonly { readonly path: string; readonly did: string; readonly note: string | null }[]
  readonly next: readonly string[]
}

async function folder(): Promise<string> {
  const { dir, remove } = await workFolder()
  // Others pass through it, as they do through `/`.
  await chmod(dir, 0o755)
  closers.push(remove)
  return dir
}

async function install(root: string, ...more: readonly string[]): Promise<Installed> {
  const { code, stdout, stderr } = await postern(['install', '--root', root, '--json', ...more], {
    cwd: root,
  })
  expect(code, stdout + stderr).toBe(0)
  return JSON.parse(stdout) as Installed
}

const modeOf = async (path: string): Promise<string> => ((await stat(path)).mode & 0o7777).toString(8)

/** The values of a key of the unit, in their order. */
const valuesOf = (unit: string, key: string): readonly string[] =>
  [...unit.matchAll(new RegExp(`^${key}=(.*)$`, 'gm'))].map(([, value = '']) => value)

describe('postern install --root', () => {
  it('X11 writes the unit, a configuration, the secret with 0640 and the data directory with 0750', async () => {
    const root = await folder()
    const { files, next } = await install(root)
    expect(files.map(({ path, did }) => `${did} ${path.slice(root.length)}`)).toEqual([
      'written /etc/systemd/system/postern.service',
      'written /etc/postern/postern.yaml',
      'written /etc/postern/jwt.secret',
      'written /var/lib/postern',
    ])
    expect(next).toHaveLength(3)
    expect(await modeOf(join(root, 'etc/postern/jwt.secret'))).toBe('640')
    expect((await readFile(join(root, 'etc/postern/jwt.secret'))).length).toBe(64)
    expect(await modeOf(join(root, 'etc/postern/postern.yaml'))).toBe('640')
    expect(await modeOf(join(root, 'etc/postern'))).toBe('2750')
    expect(await modeOf(join(root, 'var/lib/postern'))).toBe('750')
    expect(await modeOf(join(root, 'etc/systemd/system/postern.service'))).toBe('644')
    if (isRoot) expect(await stat(join(root, 'etc/postern/jwt.secret'))).toMatchObject({ uid: 0, gid: 0 })
    const unit = await readFile(join(root, 'etc/systemd/system/postern.service'), 'utf8')
    for (const line of ['DynamicUser=yes', 'StateDirectory=postern', 'ConfigurationDirectory=postern']) {
      expect(unit.split('\n')).toContain(line)
    }
    expect(unit, 'nothing of the trial').not.toContain(root)
    const { code, stderr } = await postern(
      ['config', 'check', '--config', join(root, 'etc/postern/postern.yaml')],
      { cwd: root },
    )
    expect(code, stderr).toBe(0)
  })

  it('X11 changes nothing a second time, and keeps what somebody has made their own', async () => {
    const root = await folder()
    await install(root)
    const secret = await readFile(join(root, 'etc/postern/jwt.secret'))
    const config = join(root, 'etc/postern/postern.yaml')
    await writeFile(config, 'limits: { drain: 90s }\n')
    await writeFile(join(root, 'etc/systemd/system/postern.service'), 'edited by hand\n')
    await chmod(join(root, 'etc/postern/jwt.secret'), 0o644)
    const again = await install(root)
    expect(again.files.map(({ did }) => did)).toEqual(['updated', 'kept', 'updated', 'kept'])
    expect(again.files[2]?.note).toMatch(/was open to every user \(mode 0644\)/)
    expect(await modeOf(join(root, 'etc/postern/jwt.secret'))).toBe('640')
    expect(await readFile(join(root, 'etc/postern/jwt.secret'))).toEqual(secret)
    expect(await readFile(config, 'utf8')).toBe('limits: { drain: 90s }\n')
    // Longer than open requests may take.
    const unit = await readFile(join(root, 'etc/systemd/system/postern.service'), 'utf8')
    expect(valuesOf(unit, 'TimeoutStopSec')).toEqual(['110'])
    expect((await install(root)).files.map(({ did }) => did)).toEqual(['kept', 'kept', 'kept', 'kept'])
    expect((await readdir(join(root, 'etc/postern'))).toSorted()).toEqual(['jwt.secret', 'postern.yaml'])
  })

  it('X11 leaves alone a data directory that systemd has moved, and writes through no link', async () => {
    const root = await folder()
    await install(root)
    const moved = join(root, 'var/lib/private')
    execFileSync('mv', [join(root, 'var/lib/postern'), moved])
    await symlink('private', join(root, 'var/lib/postern'))
    await chmod(moved, 0o700)
    execFileSync('rm', [join(root, 'etc/postern/jwt.secret')])
    await symlink('/nowhere/else', join(root, 'etc/postern/jwt.secret'))
    const { files } = await install(root)
    expect(files.slice(2).map(({ did }) => did)).toEqual(['kept', 'kept'])
    expect(await modeOf(moved)).toBe('700')
    expect(existsSync('/nowhere')).toBe(false)
  })

  it('X11 refuses a Node.js that the service could not start, and options that have no place', async () => {
    const root = await folder()
    const said = await postern(['install', '--root', root, '--node', join(root, 'no-node')], { cwd: root })
    expect(said.stderr).toMatch(/Node\.js at .*no-node: /)
    expect((await postern(['install', '--root', root, '--data-dir', 'x'], { cwd: root })).code).toBe(2)
  })

  it.runIf(isRoot)('X11 refuses without root, and says what to do', async () => {
    const nobody = 'setpriv --reuid 61234 --regid 61234 --clear-groups'
    const { code, stdout } = await inOwnView(`cd / && HOME=/ exec ${nobody} ${POSTERN} install --json`)
    expect(code).toBe(1)
    expect(JSON.parse(stdout)).toMatchObject({
      code: 'needs_root',
      message: expect.stringMatching(/sudo.*--root DIR/) as string,
    })
  })

  it('X11 reads calmly', async () => {
    const root = await folder()
    const { stdout } = await postern(['install', '--root', root], { cwd: root })
    expect(stdout).toMatch(/^This is what an installation has, below .*\. Nothing else was touched\.$/m)
    expect(stdout.match(/^ {2}written /gm)).toHaveLength(4)
    expect(stdout).toMatch(/^Next\n( {2}\S.*\n {6}\S.*\n){3}/m)
  })
})

describe('the unit', () => {
  it('X11 passes systemd-analyze verify, and is little exposed', async () => {
    const root = await folder()
    await install(root)
    const unit = join(root, 'etc/systemd/system/postern.service')
    const verified = await run('systemd-analyze', ['verify', '--man=no', unit])
    expect(verified.stdout + verified.stderr).toBe('')
    expect(verified.code).toBe(0)
    // Of 10; the system's own services are at 9.
    const { code, stdout } = await run('systemd-analyze', [
      'security',
      '--offline=true',
      '--threshold=20',
      '--no-pager',
      unit,
    ])
    expect(code, stdout).toBe(0)
    expect(Number(/Overall exposure level for postern\.service: ([\d.]+)/.exec(stdout)?.[1])).toBeLessThan(2)
  })

  it.runIf(isRoot)(
    'X11 has an ExecStart that serves as a user without a name, whose keys are rotated while it runs',
    async () => {
      const root = await folder()
      const installed = await inOwnView(`cd ${root} && ${POSTERN} install --root ${root} --json`)
      expect(installed.code, installed.stdout + installed.stderr).toBe(0)
      const unit = await readFile(join(root, 'etc/systemd/system/postern.service'), 'utf8')
      await writeFile(join(root, 'etc/postern/postern.env'), 'POSTERN_SERVER_ADDR=127.0.0.1:0\n', {
        mode: 0o600,
      })
      const specific = (line: string): string =>
        line.replaceAll('%S', '/var/lib').replaceAll('%E', '/etc').replace(/^\+/, '')
      const [pre = '', start = ''] = [valuesOf(unit, 'ExecStartPre')[0], valuesOf(unit, 'ExecStart')[0]].map(
        (line) => specific(line ?? ''),
      )
      expect(start).toBe(`${POSTERN} serve --config /etc/postern/postern.yaml`)
      // What systemd does, in a view of the machine whose /etc/postern and /var/lib/postern are those of the trial.
      const script = `
        set -eu
        ${reachCheckout}
        mount -t overlay overlay -o lowerdir=${root}/etc:/etc /etc
        mount -t overlay overlay -o lowerdir=${root}/var/lib:/var/lib /var/lib
        mount --bind ${root}/etc/postern /etc/postern
        mount --bind ${root}/var/lib/postern /var/lib/postern
        echo '${PASSWORD}' | ${POSTERN} user add --config /etc/postern/postern.yaml --username alice --admin --password-stdin >&2
        chown -R 61234:61234 /var/lib/postern
        ${pre}
        cd /var/lib/postern
        set -a; . /etc/postern/postern.env; set +a
        exec setpriv --reuid 61234 --regid 61234 --clear-groups --no-new-privs --bounding-set=-all ${start}
      `
      const child = spawn('unshare', ['--mount', '--propagation', 'private', 'bash', '-c', script], {
        env: { PATH: process.env['PATH'] },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let out = ''
      let log = ''
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
      child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()))
      const ended = new Promise<number | null>((done) => child.once('close', done))
      closers.push(async () => {
        child.kill('SIGKILL')
        await ended
      })
      const url = await vi.waitFor(() => {
        const found = /http:\/\/127\.0\.0\.1:\d+/.exec(out)?.[0]
        expect(found, log).toBeDefined()
        return found ?? ''
      }, WAIT)
      expect((await ask(`${url}/health/ready`, null)).body).toEqual({ status: 'ok' })
      expect(out + log, 'somebody can administer it already').not.toContain('pst_')
      const jwt = async (): Promise<string> => {
        const { body } = await ask(`${url}/api/v1/auth/login`, null, {
          json: { username: 'alice', password: PASSWORD },
        })
        return (body as { token: string }).token
      }
      const kidOf = (token: string): unknown =>
        (JSON.parse(Buffer.from(token.split('.')[0] ?? '', 'base64url').toString()) as { kid: string }).kid
      const before = await jwt()
      const status = async (token: string): Promise<number> => (await ask(`${url}/mcp/tools`, token)).status
      expect(await status(before)).toBe(200)

      // Root rotates beside it, and the files stay within reach of the service.
      const rotated = await run('nsenter', [
        `--target=${child.pid ?? 0}`,
        '--mount',
        NODE,
        `${REACHED}/bin/postern`,
        'key-ring',
        'rotate',
        '--config',
        '/etc/postern/postern.yaml',
        '--json',
      ])
      expect(rotated.code, rotated.stdout + rotated.stderr).toBe(0)
      await vi.waitFor(async () => {
        expect(kidOf(await jwt()), log).not.toBe(kidOf(before))
      }, WAIT)
      expect(await status(before), 'the retired key verifies').toBe(200)
      for (const name of await readdir(join(root, 'etc/postern'))) {
        const { mode, uid } = await stat(join(root, 'etc/postern', name))
        expect([name, uid, mode & 0o007]).toEqual([name, 0, 0])
      }
      child.kill('SIGTERM')
      expect(await ended).toBe(0)
    },
    60_000,
  )
})

/** Runs lines of shell in a view of the machine of their own, in which a service can see the checkout. */
const inOwnView = (lines: string): Promise<Finished> =>
  run('unshare', ['--mount', '--propagation', 'private', 'bash', '-euc', `${reachCheckout}; ${lines}`])

async function run(program: string, args: readonly string[]): Promise<Finished> {
  const child = spawn(program, args, {
    cwd: fileURLToPath(new URL('.', import.meta.url)),
    env: { PATH: process.env['PATH'], SYSTEMD_COLORS: '0' },
  })
  let stdout = ''
  let stderr = ''
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString()))
  const code = await new Promise<number | null>((done) => child.on('close', done))
  return { code, stdout, stderr }
}
