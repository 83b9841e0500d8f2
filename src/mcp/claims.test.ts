import { existsSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

const root = new URL('../../', import.meta.url)
const text = readFileSync(new URL('docs/mcp.md', root), 'utf8')

const claims = Array.from(text.matchAll(/^\| (.+?) \| `([\w/.-]+\.test\.ts)` "(.+)" \|$/gm), (match) => ({
  demand: match[1] ?? '',
  file: match[2] ?? '',
  test: match[3] ?? '',
}))

describe('the claims of docs/mcp.md', () => {
  it('are rows with a test each', () => {
    const section = text.slice(text.indexOf('## Claims'))
    const rows = section.match(/^\| (?!demand|---)/gm) ?? []
    expect(claims.length).toBe(rows.length)
    expect(claims.length).toBeGreaterThan(30)
  })

  it.each(claims)('$demand', ({ file, test }) => {
    const path = new URL(file.includes('/') ? file : `src/mcp/${file}`, root)
    expect(existsSync(path)).toBe(true)
    expect(readFileSync(path, 'utf8')).toContain(`'${test}'`)
  })
})
