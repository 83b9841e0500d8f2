import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OWN, walkOf } from '../support/walk.ts'

const PAGE = 'docs/first-five-minutes.md'
const walk = walkOf(PAGE)
const { page, steps, learnt } = walk

beforeAll(() => walk.open())
afterAll(() => walk.close(), 60_000)

describe(PAGE, () => {
  it('has what a new user does first', () => {
    const commands = steps.flatMap((step) => (step.kind === 'command' ? [step.command] : []))
    expect(commands.length).toBeGreaterThan(15)
    for (const part of [
      'serve --demo',
      '/mcp/tools',
      'query_database',
      'schema_search',
      'DELETE FROM',
      'node hello.mjs',
      'token add',
      'token list',
      'token remove',
      'admin/audit',
    ]) {
      expect(
        commands.some((command) => command.includes(part)),
        part,
      ).toBe(true)
    }
    expect(steps.filter(({ kind }) => kind === 'file')).toHaveLength(1)
  })

  // In order, each on top of those before: the page is one session.
  it.each(walk.cases)(
    '%i: %s',
    async (_, __, step) => {
      await walk.follow(step)
    },
    90_000,
  )

  it('used every token and id that it shows', () => {
    const examples = new Set(page.match(new RegExp(OWN.source, 'g')))
    expect(examples.size).toBe(4)
    for (const example of examples) expect(learnt.get(example), example).toMatch(OWN)
    expect(new Set(learnt.values()).size).toBe(learnt.size)
  })

  it('leads to pages that are there', () => {
    for (const [, file = ''] of page.matchAll(/\]\(([^)#]+)/g)) {
      const path = fileURLToPath(new URL(`../../docs/${file}`, import.meta.url))
      expect(readFileSync(path, 'utf8').length).toBeGreaterThan(100)
    }
  })
})
