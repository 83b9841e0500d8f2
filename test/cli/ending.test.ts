import { createServer, type AddressInfo } from 'node:net'
import { describe, expect, it } from 'vitest'
import { postern, serve, workFolder } from '../support/postern.ts'

/** Says so when a process does not end by itself but by `process.exit`, which can wait for ever (see src/main.ts). */
const TELLS_OF_EXIT = {
  NODE_OPTIONS: `--import ${JSON.stringify(
    `data:text/javascript,${encodeURIComponent(
      `const exit = process.exit; process.exit = (code) => { process.stderr.write('FORCED\\n'); exit(code) }`,
    )}`,
  )}`,
}

describe('a command ends by having nothing left to do', () => {
  it.each([
    [['--version'], 0],
    [['nonsense'], 2],
    [['token', 'list'], 0],
    [['token', 'add', '--note', 'x'], 0],
    [['token', 'remove', 'tok_none'], 1],
    [['config', 'check'], 0],
    [['access', 'explain', '--token-id', 'x', '--tool', 'y'], 1],
    [['sql', 'check', 'SELECT 1'], 0],
  ] as const)('postern %j', async (args, code) => {
    const { dir, remove } = await workFolder()
    const ended = await postern(args, { cwd: dir, env: TELLS_OF_EXIT, input: 'nobody reads this' })
    expect(ended.code, ended.stderr).toBe(code)
    expect(ended.stderr).not.toContain('FORCED')
    await remove()
  })

  it('a gateway that cannot start', async () => {
    const { dir, remove } = await workFolder()
    const owner = createServer()
    await new Promise<void>((done) => {
      owner.listen(0, '127.0.0.1', done)
    })
    const { port } = owner.address() as AddressInfo
    const ended = await postern(['serve', '--addr', `127.0.0.1:${port}`], { cwd: dir, env: TELLS_OF_EXIT })
    expect(ended.code).toBe(1)
    expect(ended.stderr).toContain('address_in_use')
    expect(ended.stderr).not.toContain('FORCED')
    owner.close()
    await remove()
  })

  it('a gateway that is stopped', async () => {
    const { dir, remove } = await workFolder()
    const serving = await serve(['serve', '--addr', '127.0.0.1:0'], { cwd: dir, env: TELLS_OF_EXIT })
    const open = await fetch(`${serving.url}/health`, { signal: AbortSignal.timeout(20_000) })
    expect(open.status).toBe(200)
    const ended = await serving.stop()
    expect(ended.code).toBe(0)
    expect(ended.stderr).not.toContain('FORCED')
    await remove()
  })
})
