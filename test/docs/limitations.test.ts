import { existsSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from 'vitest'

const root = fileURLToPath(new URL('../..', import.meta.url))
const page = readFileSync(`${root}/docs/limitations-answered.md`, 'utf8')

/** Rows of the tables: what is said, and the tests that are named for it. */
const rows = [...page.matchAll(/^\| (?!---|limitation \||elsewhere \|)(.+?) \| (.+) \| (.+) \|$/gm)].map(
  ([, what = '', , shownBy = '']) => [what, shownBy] as const,
)

it('docs/limitations-answered.md answers the whole list', () => {
  expect(rows.length).toBeGreaterThanOrEqual(20)
})

it.each(rows)('%s: the tests that are named are there', (_, shownBy) => {
  const named = [...shownBy.matchAll(/`([^`]+\.test\.ts)`(?:: "([^"]+)")?/g)]
  expect(named.length).toBeGreaterThan(0)
  expect(shownBy.split('; ')).toHaveLength(named.length)
  for (const [, file = '', title] of named) {
    expect(existsSync(`${root}/${file}`), file).toBe(true)
    if (title === undefined) continue
    // As the source has it: `it('title', …)`, or the last line of `it.each([…])('title', …)`.
    const text = readFileSync(`${root}/${file}`, 'utf8')
    expect(text.includes(`('${title}'`), `${file}: ${title}`).toBe(true)
  }
})
