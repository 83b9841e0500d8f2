import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { OLD_NODE, outcome, postern, ROOT, scratch, start } from './postern.ts'

const { dir, remove } = scratch()
afterAll(remove)

/** A checkout whose program is `source`, with or without the Node that `npm ci` brings. */
function checkout(name: string, source: string, options: { pinnedNode: boolean }): string {
  const root = join(dir, name)
  mkdirSync(join(root, 'src'), { recursive: true })
  cpSync(join(ROOT, 'bin'), join(root, 'bin'), { recursive: true })
  writeFileSync(join(root, 'package.json'), '{"type":"module"}')
  writeFileSync(join(root, 'src/main.ts'), source)
  if (options.pinnedNode) {
    mkdirSync(join(root, 'node_modules/node/bin'), { recursive: true })
    symlinkSync(process.execPath, join(root, 'node_modules/node/bin/node'))
  }
  return join(root, 'bin/postern')
}

const nodes: [string, string][] = [['a Node that is new enough', process.execPath]]
if (OLD_NODE !== undefined) nodes.push(['an older Node', OLD_NODE])

describe.each(nodes)('bin/postern under %s', (_, node) => {
  it('passes arguments, standard input and exit code on', async () => {
    const script = checkout(
      `echo-${nodes.findIndex(([, file]) => file === node)}`,
      `let text: string = ''
       process.stdin.on('data', (chunk) => (text += chunk)).on('end', () => {
         process.stdout.write(JSON.stringify({ argv: process.argv.slice(2), text, node: process.version }))
         process.exitCode = 7
       })`,
      { pinnedNode: true },
    )
    const { code, stdout, stderr } = await postern(['--a=b c', ''], { node, script, input: 'ÄÖÜ\n' })
    expect(stderr).toBe('')
    expect(JSON.parse(stdout)).toEqual({ argv: ['--a=b c', ''], text: 'ÄÖÜ\n', node: process.version })
    expect(code).toBe(7)
  })

  it.each(['SIGINT', 'SIGTERM', 'SIGHUP'] as const)('passes %s on', async (signal) => {
    const script = checkout(
      `signal-${signal}-${nodes.findIndex(([, file]) => file === node)}`,
      `process.on('${signal}', () => { process.stdout.write('heard'); process.exit(5) })
       process.stdout.write('ready ')
       setInterval(() => {}, 1000)`,
      { pinnedNode: true },
    )
    const child = start([], { node, script })
    child.stdout.once('data', () => child.kill(signal))
    const { code, stdout } = await outcome(child)
    expect(stdout).toBe('ready heard')
    expect(code).toBe(5)
  })

  it('ends by the signal that ended the program', async () => {
    const script = checkout(
      `killed-${nodes.findIndex(([, file]) => file === node)}`,
      `process.kill(process.pid, 'SIGTERM'); setInterval(() => {}, 1000)`,
      { pinnedNode: true },
    )
    expect((await postern([], { node, script })).signal).toBe('SIGTERM')
  })

  it('answers --version', async () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string }
    expect(await postern(['--version'], { node })).toMatchObject({
      code: 0,
      stdout: `postern ${version}\n`,
      stderr: '',
    })
  })
})

describe.skipIf(OLD_NODE === undefined)('bin/postern under an older Node', () => {
  const node = OLD_NODE ?? ''

  it('says in one line that it needs a newer one, when the checkout has none', async () => {
    const script = checkout('bare', 'process.stdout.write("ran")', { pinnedNode: false })
    const { code, stdout, stderr } = await postern(['serve'], { node, script })
    expect(code).toBe(1)
    expect(stdout).toBe('')
    expect(stderr).toMatch(
      /^postern: Node\.js 22\.18 or newer is needed, this is v\d+\.\d+\.\d+: run `npm ci` here, .*\n$/,
    )
  })

  it('does not leave the program running when it is killed', async () => {
    const script = checkout(
      'orphan',
      `process.on('disconnect', () => { process.stdout.write('alone'); process.exit(0) })
       process.stdout.write('ready ')
       setInterval(() => {}, 1000)`,
      { pinnedNode: true },
    )
    const child = start([], { node, script })
    child.stdout.once('data', () => child.kill('SIGKILL'))
    // The pipe closes when the last process that holds it is gone.
    expect((await outcome(child)).stdout).toBe('ready alone')
  })
})

describe('bin/postern', () => {
  it('is something that every Node can parse: no syntax later than ECMAScript 5', () => {
    const text = readFileSync(join(ROOT, 'bin/postern'), 'utf8').replaceAll(/\/\/.*|\/\*[\s\S]*?\*\//g, '')
    const strings = text.replaceAll(/'[^'\n]*'/g, "''")
    expect(strings).not.toMatch(/\b(?:const|let|class|async|await|import)\b|=>|`|\.\.\.|\?\?|\?\./)
    expect(existsSync(join(ROOT, 'bin/package.json'))).toBe(true)
  })

  it('needs the version that package.json names', () => {
    const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as {
      engines: { node: string }
    }
    const [, major, minor] =
      /OLDEST = \[(\d+), (\d+)\]/.exec(readFileSync(join(ROOT, 'bin/postern'), 'utf8')) ?? []
    expect(engines.node).toBe(`>=${major}.${minor}`)
  })
})
