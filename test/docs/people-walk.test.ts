import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { walkOf } from '../support/walk.ts'

const PAGE = 'docs/people-walk.md'
const walk = walkOf(PAGE)
const { steps } = walk

beforeAll(() => walk.open())
afterAll(() => walk.close(), 60_000)

describe(PAGE, () => {
  it('has what people do, from the first administrator to the record', () => {
    const commands = steps.flatMap((step) => (step.kind === 'command' ? [step.command] : []))
    for (const part of [
      'user add',
      'auth/login',
      'api/v1/query',
      'text/csv',
      'admin/tenants',
      'admin/users',
      'auth/password',
      'key-ring rotate',
      'auth/logout',
      'user delete',
      'audit search',
    ]) {
      expect(
        commands.some((command) => command.includes(part)),
        part,
      ).toBe(true)
    }
  })

  // In order, each on top of those before: the page is one session.
  it.each(walk.cases)(
    '%i: %s',
    async (_, __, step) => {
      await walk.follow(step)
    },
    90_000,
  )

  it('leads to pages that are there', () => {
    walk.expectPagesItLeadsTo()
  })
})
