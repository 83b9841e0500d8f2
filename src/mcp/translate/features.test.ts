import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { STATELESS_REVISION, SUPPORTED_REVISIONS } from '../../lib/revisions.ts'
import { type Feature, type FeatureName, FEATURES, has } from './features.ts'

const page = readFileSync(new URL('../../../docs/translation.md', import.meta.url), 'utf8')

const rows = Array.from(page.matchAll(/^\| `(\w+)` \| (\S+) \| (\S*) ?\| .+? \| .+? \|$/gm), (match) => ({
  name: match[1] ?? '',
  since: match[2] ?? '',
  until: match[3] ?? '',
}))

describe('docs/translation.md', () => {
  it('has a row for each feature, with the same revisions', () => {
    const features = Object.entries<Feature>(FEATURES).map(([name, { since, until = '' }]) => ({
      name,
      since,
      until,
    }))
    const byName = (one: { name: string }, other: { name: string }): number =>
      one.name < other.name ? -1 : 1
    expect(rows.toSorted(byName)).toEqual(features.toSorted(byName))
  })

  it('says for each feature what other clients get', () => {
    for (const line of page.split('\n').filter((one) => /^\| `\w+` \|/.test(one))) {
      const cells = line.split('|').slice(1, -1)
      expect(cells, line).toHaveLength(5)
      expect(cells.at(-1)?.trim().length, line).toBeGreaterThan(3)
    }
  })
})

describe('features', () => {
  it('are known from their first to their last revision', () => {
    for (const name of Object.keys(FEATURES) as FeatureName[]) {
      const { since, until = STATELESS_REVISION }: Feature = FEATURES[name]
      for (const revision of SUPPORTED_REVISIONS) {
        expect(has(revision, name)).toBe(revision >= since && revision <= until)
      }
    }
  })
})
