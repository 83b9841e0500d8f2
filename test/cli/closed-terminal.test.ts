import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it, vi } from 'vitest'
import { isAlive } from '../../src/lib/is-alive.ts'
import { workFolder } from '../support/postern.ts'
import { ROOT } from './postern.ts'

const WAIT = { timeout: 25_000, interval: 50 }

it('a gateway reads its configuration on SIGHUP, and stops when its terminal is closed', async () => {
  const { dir, remove } = await workFolder({ 'postern.yaml': 'limits: {}\n' })
  const quoted = `'${process.execPath}' '${join(ROOT, 'bin/postern')}' serve --addr 127.0.0.1:0`
  const terminal = spawn('script', ['-qec', `${quoted} 2>'${dir}/log'`, '/dev/null'], {
    cwd: dir,
    env: { PATH: process.env['PATH'], HOME: dir, TERM: 'xterm', SHELL: '/bin/sh' },
  })
  const log = (): Promise<string> => readFile(join(dir, 'log'), 'utf8')
  let pid = 0
  try {
    pid = await vi.waitFor(async () => {
      const running = await readFile(join(dir, '.postern', 'running.json'), 'utf8')
      return (JSON.parse(running) as { pid: number }).pid
    }, WAIT)
    const read = async (): Promise<number> => (await log()).split('Configuration loaded').length
    const before = await read()
    process.kill(pid, 'SIGHUP')
    await vi.waitFor(async () => {
      expect(await read()).toBe(before + 1)
    }, WAIT)
    expect(isAlive(pid)).toBe(true)

    // What held the other end is gone, and so is the terminal.
    terminal.kill('SIGKILL')
    await vi.waitFor(() => {
      expect(isAlive(pid)).toBe(false)
    }, WAIT)
    expect(await log()).toMatch(/"signal":"SIGHUP"[^\n]*"Stopping: finishing open requests"[\s\S]*"Stopped"/)
  } finally {
    terminal.kill('SIGKILL')
    if (pid !== 0 && isAlive(pid)) process.kill(pid, 'SIGKILL')
    await remove()
  }
})
