import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type Circumstances, OLD_NODE, type Outcome, outcome, postern, scratch, start } from './postern.ts'

const { dir, remove } = scratch()
afterAll(remove)

let dataDir: string
let number = 0
const running = new Set<ChildProcessWithoutNullStreams>()
beforeEach(() => {
  dataDir = join(dir, `data-${(number += 1)}`)
})
afterEach(() => {
  for (const child of running) child.kill('SIGKILL')
})

interface Served {
  readonly child: ChildProcessWithoutNullStreams
  readonly document: Record<string, unknown>
  readonly ended: Promise<Outcome>
}

/** Starts a gateway and waits for the document that says that it is ready. */
async function serve(args: readonly string[] = [], how: Circumstances = {}): Promise<Served> {
  const child = start(['serve', '--addr', '127.0.0.1:0', '--data-dir', dataDir, '--json', ...args], {
    cwd: dir,
    ...how,
  })
  running.add(child)
  const ended = outcome(child).finally(() => running.delete(child))
  let text = ''
  const document = await new Promise<Record<string, unknown>>((resolve, reject) => {
    child.stdout.on('data', (chunk: Buffer) => {
      text += chunk.toString()
      if (text.endsWith('}\n')) resolve(JSON.parse(text) as Record<string, unknown>)
    })
    void ended.then(({ stderr }) => {
      reject(new Error(`ended before it was ready: ${stderr}`))
    })
  })
  return { child, document, ended }
}

const status = async (url: unknown, token: unknown): Promise<number> =>
  (await fetch(`${String(url)}/mcp/tools`, { headers: { authorization: `Bearer ${String(token)}` } })).status

const nodes: [string, string][] = [['a Node that is new enough', process.execPath]]
if (OLD_NODE !== undefined) nodes.push(['an older Node', OLD_NODE])

describe.each(nodes)('postern serve under %s', (_, node) => {
  it('C4 shows one admin token on the first start only, drains on SIGTERM and exits with 0', async () => {
    const first = await serve([], { node })
    expect(first.document).toMatchObject({ authentication: true, data_dir: dataDir })
    expect(await status(first.document['url'], first.document['token'])).toBe(200)
    expect(await status(first.document['url'], 'pst_invented')).toBe(401)
    first.child.kill('SIGTERM')
    const ended = await first.ended
    expect(ended.code).toBe(0)
    expect(JSON.parse(ended.stdout)).toEqual(first.document)
    expect(ended.stderr).not.toContain(String(first.document['token']))

    const second = await serve([], { node })
    expect(second.document).not.toHaveProperty('token')
    expect(await status(second.document['url'], first.document['token'])).toBe(200)
    second.child.kill('SIGINT')
    expect((await second.ended).code).toBe(0)
  })
})

describe('postern serve', () => {
  it('G5 takes tokens over that the command line adds and removes beside it', async () => {
    const { child, document, ended } = await serve()
    const run = async (...args: string[]): Promise<Record<string, unknown>> =>
      JSON.parse((await postern([...args, '--data-dir', dataDir, '--json'], { cwd: dir })).stdout) as Record<
        string,
        unknown
      >
    const added = await run('token', 'add', '--note', 'CI')
    expect(await status(document['url'], added['token'])).toBe(200)
    await run('-remove-token', String(added['hash_prefix']).slice(0, 8))
    await expect.poll(() => status(document['url'], added['token']), { timeout: 2000 }).toBe(401)
    child.kill('SIGTERM')
    await ended
  })

  it('G6 serves with the single-dash spellings', async () => {
    const child = start(['-http', '-addr', '127.0.0.1:0', '-data-dir', dataDir, '-json', '-no-auth'], {
      cwd: dir,
    })
    running.add(child)
    const ended = outcome(child).finally(() => running.delete(child))
    child.stdout.once('data', () => child.kill('SIGTERM'))
    const { code, stdout } = await ended
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ authentication: false })
  })

  it('G9 refuses -no-auth on an address that is not loopback', async () => {
    const { code, stdout, stderr } = await postern(
      ['-http', '-addr', ':0', '-no-auth', '-data-dir', dataDir],
      {
        cwd: dir,
      },
    )
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain('(config_invalid)')
    expect(stderr).toMatch(/--no-auth .*listen on 127\.0\.0\.1/)
  })

  it('says so when the port is in use, in JSON mode as the one document', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as { port: number }
    try {
      const { code, stdout, stderr } = await postern(
        ['serve', '--addr', `127.0.0.1:${port}`, '--data-dir', dataDir, '--json'],
        { cwd: dir },
      )
      expect(code).toBe(1)
      const document = JSON.parse(stdout) as { message: string }
      expect(document).toMatchObject({ error: 'failed', code: 'address_in_use' })
      expect(document.message).toContain(String(port))
      expect(stderr).not.toMatch(/^\s+at /m)
    } finally {
      other.close()
    }
  })

  it('F8 reads the configuration again on SIGHUP; a bad one changes nothing and is explained', async () => {
    const file = join(dir, 'postern.yaml')
    const configure = (text: string): void => writeFileSync(file, text, { mode: 0o600 })
    const hash = (token: string): string => createHash('sha256').update(token).digest('hex')
    configure('server:\n  name: before\n')
    const { child, ended, document } = await serve(['--config', file])
    const { url } = document
    expect(await status(url, 'a-token-of-the-file')).toBe(401)

    configure(`auth:\n  tokens:\n    ci:\n      hash: ${hash('a-token-of-the-file')}\n`)
    child.kill('SIGHUP')
    await expect.poll(() => status(url, 'a-token-of-the-file'), { timeout: 5000 }).toBe(200)

    let log = ''
    child.stderr.on('data', (chunk: Buffer) => (log += chunk.toString()))
    configure('auth:\n  tokns: {}\n')
    child.kill('SIGHUP')
    await expect.poll(() => log, { timeout: 5000 }).toMatch(/Not reloaded: .*tokns.*tokens/)
    expect(await status(url, 'a-token-of-the-file')).toBe(200)
    child.kill('SIGTERM')
    expect((await ended).code).toBe(0)
  })
})
