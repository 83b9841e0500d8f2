import { execFileSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ROOT } from './postern.ts'

/** What a user has after installing the package: JavaScript in `node_modules`, where Node strips no types. */
describe('the built package', () => {
  const dir = mkdtempSync(join(tmpdir(), 'postern-package-'))
  const installed = join(dir, 'node_modules', 'postern')

  const run = (...args: string[]): string =>
    execFileSync(process.execPath, [join(installed, 'bin', 'postern'), ...args], {
      cwd: dir,
      encoding: 'utf8',
    })

  beforeAll(() => {
    execFileSync(process.execPath, [join(ROOT, 'scripts', 'build.ts')], { cwd: ROOT, stdio: 'inherit' })
    mkdirSync(installed, { recursive: true })
    for (const part of ['bin', 'dist', 'package.json'])
      cpSync(join(ROOT, part), join(installed, part), { recursive: true })
    symlinkSync(join(ROOT, 'node_modules'), join(installed, 'node_modules'))
  }, 120_000)
  afterAll(() => {
    rmSync(dir, { recursive: true, force: true })
    rmSync(join(ROOT, 'dist'), { recursive: true, force: true })
  })

  it('runs its commands', () => {
    expect(run('--version')).toMatch(/^postern \d+\.\d+\.\d+\n$/)
    const { id } = JSON.parse(run('token', 'add', '--note', 'packaged', '--json')) as { id: string }
    expect(JSON.parse(run('token', 'list', '--json'))).toMatchObject([
      { id, note: 'packaged', status: 'valid' },
    ])
    expect(JSON.parse(run('audit', 'verify', '--json'))).toMatchObject({ intact: true, checked: 1 })
  })

  it('brings the files that it reads', () => {
    expect(JSON.parse(run('sql', 'check', 'SELECT lower(name) FROM t', '--json'))).toMatchObject({
      allowed: true,
    })
  })
})
