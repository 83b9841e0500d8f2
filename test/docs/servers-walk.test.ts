import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { OWN, walkOf } from '../support/walk.ts'

const PAGE = 'docs/servers-walk.md'
const walk = walkOf(PAGE)
const { page, steps, learnt } = walk

beforeAll(() => walk.open())
afterAll(() => walk.close(), 60_000)

describe(PAGE, () => {
  it('has what somebody does who puts servers behind the door', () => {
    const commands = steps.flatMap((step) => (step.kind === 'command' ? [step.command] : []))
    for (const part of [
      'config import',
      'config check',
      'postern serve',
      '--server files',
      'node ask.mjs',
      '/mcp/tools/files__',
      'toolFilter',
      'trustHints',
      'access explain',
      'admin/servers',
      '/files/sse',
      'token remove',
      'audit search',
    ])
      expect(
        commands.some((command) => command.includes(part)),
        part,
      ).toBe(true)
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
    expect(examples.size).toBe(5)
    for (const example of examples) expect(learnt.get(example), example).toMatch(OWN)
    expect(new Set(learnt.values()).size).toBe(learnt.size)
  })

  it('leads to pages that are there', () => {
    walk.expectPagesItLeadsTo()
  })
})
