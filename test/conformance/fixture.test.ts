import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { failures, passed, type Requirements, requirements, runConformance } from '../support/conformance.ts'
import { type Fixture, startFixture } from './fixture/fixture.ts'

/**
 * What a correct server scores: 33 scenarios in 2025-11-25, all of them, and the 37 that are required in
 * 2026-07-28 with the three that need no extension.
 */
const SCORES: Readonly<Record<Requirements, { readonly required: number; readonly passed: number }>> = {
  '2025-11-25': { required: 30, passed: 33 },
  '2026-07-28': { required: 37, passed: 40 },
}

/** An extension that neither the fixture nor Postern has. */
const isTask = (text: string): boolean => text.startsWith('tasks-')

describe.each(Object.keys(SCORES) as Requirements[])(
  'the fixture in the conformance suite, %s',
  (revision) => {
    let fixture: Fixture
    let results: Awaited<ReturnType<typeof runConformance>>
    beforeAll(async () => {
      fixture = await startFixture({ revision, transport: 'http' })
      results = await runConformance(fixture.url, revision)
    })
    afterAll(() => fixture.close())

    it('passes every scenario that counts', () => {
      const { required } = requirements(revision)
      expect(required).toHaveLength(SCORES[revision].required)
      expect(passed(results)).toEqual(expect.arrayContaining([...required]))
      expect(passed(results)).toHaveLength(SCORES[revision].passed)
    })

    it('fails and neglects nothing but the extension of tasks', () => {
      expect(failures(results).filter((failure) => !isTask(failure))).toEqual([])
    })
  },
)

/** Servers of older revisions cannot have what came later, and nothing else is missing. */
const LATER = {
  '2025-06-18': ['elicitation-sep1034-defaults', 'elicitation-sep1330-enums', 'server-sse-polling'],
  '2025-03-26': [
    'elicitation-sep1034-defaults',
    'elicitation-sep1330-enums',
    'server-sse-polling',
    'tools-call-elicitation',
  ],
} as const

it.each(Object.entries(LATER))('the fixture of %s lacks only what came later', async (revision, missing) => {
  const fixture = await startFixture({ revision: revision as keyof typeof LATER, transport: 'http' })
  const results = await runConformance(fixture.url, '2025-11-25')
  await fixture.close()
  const failed = new Set(failures(results).map((failure) => failure.split(':')[0]))
  expect([...failed]).toEqual(missing)
  expect(passed(results)).toHaveLength(33 - missing.length)
})
