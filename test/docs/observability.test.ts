import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { CATALOGUE } from '../../src/observe/metrics/catalogue.ts'

const page = readFileSync(new URL('../../docs/observability.md', import.meta.url), 'utf8')

describe('docs/observability.md', () => {
  it('lists every metric with its type, its labels and what it says, and no other', () => {
    const listed = [
      ...page.matchAll(/^\| `((?:postern|process|nodejs)_\w+)` \| (\w+) \| (.*?) \| (.+?) \|$/gm),
    ]
    const rows = listed.map(([, name, type, labels = '', help]) => ({
      name,
      type,
      labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label]) => label),
      help,
    }))
    const there = Object.values(CATALOGUE).map(({ name, kind, labels, help }) => ({
      name,
      type: kind === 'read counter' ? 'counter' : kind,
      labels,
      help,
    }))
    expect(rows).toEqual(there)
  })

  it('names no metric that is not in the list', () => {
    const known = new Set<string>(Object.values(CATALOGUE).map(({ name }) => name))
    for (const [, name = ''] of page.matchAll(/`((?:postern|process|nodejs)_[a-z0-9_]+)`/g)) {
      expect(known, name).toContain(name)
    }
  })
})
