import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { isOwnName, OWN_SEGMENTS } from '../src/lib/own-paths.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** First segments of every path that the sources of the wires spell out: `'/api/v1/query'` gives `api`. */
function spelledSegments(): ReadonlyMap<string, string> {
  const found = new Map<string, string>()
  for (const file of globSync('src/{http,mcp}/**/*.ts', { cwd: ROOT })) {
    if (file.endsWith('.test.ts')) continue
    const text = readFileSync(join(ROOT, file), 'utf8')
    for (const [, segment] of text.matchAll(/['"`]\/([_.]?[A-Za-z0-9][A-Za-z0-9_.-]*)(?=[/'"`])/g))
      found.set(segment as string, file)
  }
  return found
}

describe('paths that Postern answers itself', () => {
  it('are all names that no server may have', () => {
    const spelled = spelledSegments()
    for (const known of ['mcp', '_mcp', 'sse', 'message', 'api', 'health', '.well-known'])
      expect([...spelled.keys()]).toContain(known)
    const open = [...spelled].filter(([segment]) => !OWN_SEGMENTS.has(segment))
    expect(open, 'add the segment to src/lib/own-paths.ts').toEqual([])
  })

  it('are told from the names of servers whatever their case', () => {
    for (const name of ['mcp', 'MCP', 'Sse', 'postern', 'POSTERN', 'favicon.ico'])
      expect(isOwnName(name)).toBe(true)
    for (const name of ['mcp2', 'files', 'api-docs', 'constructor']) expect(isOwnName(name)).toBe(false)
  })
})
