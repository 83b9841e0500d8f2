import { describe, expect, it } from 'vitest'
import { isLeftOpen } from './left-open.ts'
import type { MapNode, Node } from './node.ts'
import { parseText } from './parse.ts'
import { formatProblem, Report } from './problem.ts'
import { resolveReferences } from './references.ts'

function plain(node: Node): unknown {
  if (node.kind === 'scalar') return node.value
  if (node.kind === 'list') return node.items.map(plain)
  return Object.fromEntries(node.entries.map((entry) => [entry.key, plain(entry.value)]))
}

function resolve(text: string, env: Record<string, string>): { value: unknown; problems: string[] } {
  const report = new Report()
  const root = parseText(text, '/etc/p.yaml', report) as MapNode
  const value = plain(resolveReferences(root, env, report))
  return { value, problems: report.problems.map(formatProblem) }
}

describe('environment references', () => {
  it('F2 are replaced anywhere in a value, in lists and in maps', () => {
    const { value, problems } = resolve(
      'a: $env:A\nb: ["x", "$env:B"]\nc: {d: "pre $env:A post"}\ne: {$env: B}\nf: 5\n',
      { A: 'one', B: 'two' },
    )
    expect(problems).toEqual([])
    expect(value).toEqual({ a: 'one', b: ['x', 'two'], c: { d: 'pre one post' }, e: 'two', f: 5 })
  })

  it('F2 take the default when the variable is missing or empty', () => {
    expect(
      resolve('a: "$env:A|fall back|x"\nb: $env:B|\nc: "$env:A|$env:C"\nd: {$env: "A|y"}\n', {
        B: '',
        C: 'c',
      }).value,
    ).toEqual({ a: 'fall back|x', b: '', c: 'c', d: 'y' })
  })

  it('F2 name every missing variable at once, each with its place', () => {
    const { problems } = resolve('a: $env:A\nb:\n  - $env:B-$env:C\n', { B: '' })
    expect(problems).toEqual([
      'p.yaml:1:4  a  needs the environment variable A: set it, or write $env:A|default',
      'p.yaml:3:5  b[0]  needs the environment variable B: set it, or write $env:B|default',
      'p.yaml:3:5  b[0]  needs the environment variable C: set it, or write $env:C|default',
    ])
  })

  it('may be missing, for who only administers, where the gateway alone has a use for them', () => {
    const text = [
      'mcpServers:',
      '  wiki: {url: "https://$env:H:$env:P/mcp", headers: {Authorization: "Bearer $env:A"}}',
      '  files: {command: $env:B, args: [--key=$env:C], env: {K: {$env: D}}}',
      'databases: [{name: $env:E, password: $env:F}]',
      'model: {apiKey: $env:G, url: $env:U}',
      'store: postgres://u:$env:S@h/p',
      'auth: {tokens: {ci: $env:T}}',
      '',
    ].join('\n')
    const report = new Report()
    const root = parseText(text, '/etc/p.yaml', report) as MapNode
    const value = plain(resolveReferences(root, {}, report, isLeftOpen))
    expect(value).toMatchObject({
      mcpServers: {
        wiki: { url: 'https://0:0/mcp', headers: { Authorization: 'Bearer 0' } },
        files: { args: ['--key=0'], env: { K: '0' } },
      },
    })
    expect(report.problems.map(({ path }) => path)).toEqual([
      'mcpServers.files.command',
      'databases[0].name',
      'model.url',
      'store',
      'auth.tokens.ci',
    ])
  })

  it('are not looked for in what a variable holds', () => {
    expect(resolve('a: $env:A\n', { A: '$env:B', B: 'no' }).value).toEqual({ a: '$env:B' })
  })

  it('can be written as text', () => {
    expect(resolve('a: $$env:A\n', { A: 'no' })).toEqual({ value: { a: '$env:A' }, problems: [] })
  })

  it('need a name', () => {
    expect(resolve('a: "$env:"\n', {}).problems).toHaveLength(1)
  })

  it('do not reach what every object inherits', () => {
    expect(resolve('a: $env:constructor\nb: $env:__proto__|x\n', {}).problems).toHaveLength(1)
  })
})
