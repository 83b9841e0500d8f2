import { execFileSync } from 'node:child_process'
import { closeSync, constants, existsSync, mkdtempSync, openSync, readSync, rmSync, write } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import { type LinesLost, LogOutput } from './log-output.ts'
import { openLog } from './log.ts'

/** The longest an asynchronous write of a few bytes takes on a busy machine. */
const WAIT = { timeout: 10_000 }

let dir: string
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'postern-log-'))
})
afterAll(() => {
  rmSync(dir, { recursive: true, force: true })
})

/** A pipe with both ends open, which holds 64 KiB and then answers EAGAIN. */
function openPipe(name: string): { readonly fd: number; readonly take: () => string } {
  const path = join(dir, name)
  execFileSync('mkfifo', [path])
  const fd = openSync(path, constants.O_RDWR | constants.O_NONBLOCK)
  const buffer = Buffer.alloc(1_048_576)
  return {
    fd,
    take() {
      let text = ''
      for (;;) {
        try {
          text += buffer.toString('utf8', 0, readSync(fd, buffer))
        } catch {
          return text
        }
      }
    },
  }
}

const LINE = `${'x'.repeat(999)}\n`

describe('the output of the log', () => {
  it('writes soon, and at once what it is told to flush', async () => {
    const pipe = openPipe('soon')
    const clock = manualClock()
    const output = new LogOutput(pipe.fd, clock, () => undefined)
    output.write('one\n')
    expect(pipe.take()).toBe('')
    clock.advance(100)
    await vi.waitFor(() => expect(pipe.take()).toBe('one\n'), WAIT)
    output.write('two\n')
    output.flush()
    expect(pipe.take()).toBe('two\n')
    closeSync(pipe.fd)
  })

  it('keeps what a reader does not take, within bounds, and says later how much was lost', async () => {
    const pipe = openPipe('stuck')
    const clock = manualClock()
    const lost: LinesLost[] = []
    const output = new LogOutput(pipe.fd, clock, (lines) => lost.push(lines))
    for (let n = 0; n < 3_000; n += 1) output.write(LINE)
    let read = 0
    await vi.waitFor(() => {
      clock.advance(500)
      read += pipe.take().length
      expect(lost).not.toEqual([])
    }, WAIT)
    // A pipe's worth and a megabyte were kept; whatever was not is counted.
    expect(lost[0]?.count).toBeGreaterThan(1_000)
    await vi.waitFor(() => {
      clock.advance(500)
      read += pipe.take().length
      expect(read / LINE.length + (lost[0]?.count ?? 0)).toBe(3_000)
    }, WAIT)
    closeSync(pipe.fd)
  })

  it.runIf(existsSync('/dev/full'))('outlives a full disk, and does not hang at the end', async () => {
    const fd = openSync('/dev/full', 'w')
    const clock = manualClock()
    const log = openLog({ level: 'info', format: 'json' }, fd, clock)
    for (let n = 0; n < 2_000; n += 1) log.observe({ kind: 'config.warning', message: LINE })
    // Each of these writes fails; an error event that nobody hears would end the process.
    for (let n = 0; n < 5; n += 1) {
      clock.advance(500)
      await new Promise(setImmediate)
    }
    const startedAt = performance.now()
    log.flush()
    expect(performance.now() - startedAt).toBeLessThan(900)
  })

  it('gives up on a reader that went away', async () => {
    const path = join(dir, 'gone')
    execFileSync('mkfifo', [path])
    const reader = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
    const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
    closeSync(reader)
    const clock = manualClock()
    const output = new LogOutput(fd, clock, () => undefined)
    output.write(LINE)
    clock.advance(100)
    // Behind the write above; when it has failed, that one has, too.
    await expect(promisify(write)(fd, Buffer.from(LINE))).rejects.toMatchObject({ code: 'EPIPE' })
    await new Promise(setImmediate)
    output.write(LINE)
    expect(clock.waiting).toBe(0)
    output.flush()
    closeSync(fd)
  })
})
