import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { REFUSAL_CODES } from '../../src/access/refusal.ts'
import { FAULT_CODES } from '../../src/lib/fault.ts'

const file = (path: string): string => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
const page = file('docs/servers.md')
const section = (title: string): string => page.split(/^## /m).find((part) => part.startsWith(title)) ?? ''

describe('docs/servers.md', () => {
  it('says what to do about every code of a server', () => {
    const codes = [...REFUSAL_CODES, ...FAULT_CODES].filter((code) => code.startsWith('upstream_'))
    expect(codes.length).toBeGreaterThan(4)
    for (const code of codes) expect(section('When a server fails')).toContain(`| \`${code}\` |`)
  })

  it('names lines of the log as they are', () => {
    const lines = [...section('When a server fails').matchAll(/^\| `([A-Z][^`]+)` \|/gm)].map(
      ([, line]) => line,
    )
    expect(lines.length).toBeGreaterThan(4)
    const described = file('src/observe/describe.ts')
    for (const line of lines) expect(described).toContain(`'${line}'`)
  })

  it('shows every state of a server', () => {
    const states = /state: z\.enum\(\[([^\]]+)\]/.exec(file('src/http/routes/servers.ts'))?.[1] ?? ''
    const names = [...states.matchAll(/'(\w+)'/g)].map(([, name]) => name)
    expect(names.length).toBeGreaterThan(2)
    for (const name of names) expect(section('State and restart')).toContain(`| \`${name}\` |`)
  })

  it('leads to sections that are there', () => {
    const anchors = new Set(
      [...page.matchAll(/^#+ (.*)$/gm)].map(([, title = '']) =>
        title
          .toLowerCase()
          .replaceAll(/[^a-z0-9 -]/g, '')
          .replaceAll(' ', '-'),
      ),
    )
    for (const [, anchor = ''] of page.matchAll(/\]\(#([^)]+)\)/g)) expect(anchors).toContain(anchor)
  })
})
