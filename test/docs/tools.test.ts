import { readFile } from 'node:fs/promises'
import { Client } from 'pg'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type BuiltinHarness, openBuiltin } from '../support/builtin.ts'

let postern: BuiltinHarness
let tools: string
let sample: string

beforeAll(async () => {
  postern = await openBuiltin()
  tools = await readFile(new URL('../../docs/tools.md', import.meta.url), 'utf8')
  sample = await readFile(new URL('../../docs/sample-data.md', import.meta.url), 'utf8')
})
afterAll(() => postern.close())

const sorted = (names: readonly string[]): string[] => names.toSorted((a, b) => (a < b ? -1 : a > b ? 1 : 0))

describe('docs/tools.md', () => {
  test('describes each tool with its arguments, and no others', () => {
    const sections = new Map(
      tools
        .split(/^## /m)
        .slice(1)
        .map((section) => [section.slice(0, section.indexOf('\n')), section]),
    )
    expect(sorted([...sections.keys()])).toEqual(sorted(postern.tools.map(({ rule }) => rule.name)))
    for (const tool of postern.tools) {
      const documented = [...(sections.get(tool.rule.name) ?? '').matchAll(/^\| `(\w+)`/gm)].map(
        ([, name = '']) => name,
      )
      const real = Object.keys((tool.inputSchema as { properties: object }).properties)
      expect({ tool: tool.rule.name, arguments: sorted(documented) }).toEqual({
        tool: tool.rule.name,
        arguments: sorted(real),
      })
    }
  })

  test('shows examples that answer as they say', async () => {
    const examples = [...tools.matchAll(/^ {4}(\w+) (\{.*\})\n\n((?: {4}.*\n|\n(?= {4}))+)/gm)]
    expect(examples.length).toBe(5)
    for (const [, tool = '', args = '', shown = ''] of examples) {
      const { text } = await postern.done(tool, JSON.parse(args))
      for (const line of shown.split('\n')) {
        const plain = line.slice(4).trim()
        const cut = plain.endsWith('…)') ? plain.slice(0, -2) : plain
        // Costs and times are those of one machine; "…" stands for lines left out.
        if (cut !== '…') expect(text.replaceAll(/cost=\S+ /g, '')).toContain(cut.replaceAll(/cost=\S+ /g, ''))
      }
    }
  })
})

describe('docs/sample-data.md', () => {
  test('names every table and view with its number of rows', async () => {
    const owner = new Client({ connectionString: postern.database.url })
    await owner.connect()
    const { rows } = await owner.query<{ name: string; kind: string }>(
      `SELECT relname AS name, relkind AS kind FROM pg_class WHERE relnamespace = 'public'::regnamespace
       AND relkind IN ('r', 'p', 'v', 'm') AND NOT relispartition ORDER BY relname`,
    )
    const documented = [...sample.matchAll(/^\| `(\w+)` +\| ([\d,]+|view|materialized view) +\|/gm)]
    expect(sorted(documented.map(([, name = '']) => name))).toEqual(sorted(rows.map(({ name }) => name)))
    for (const [, name, count] of documented) {
      if (name === undefined || count === undefined || !/^\d/.test(count)) continue
      const { rows: counted } = await owner.query<{ count: string }>(`SELECT count(*) FROM ${name}`)
      expect({ name, count: Number(count.replaceAll(',', '')) }).toEqual({
        name,
        count: Number(counted[0]?.count),
      })
    }
    await owner.end()
  })
})
