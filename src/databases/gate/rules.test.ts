import { readFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { READ_ONLY_MESSAGE, RULES } from './rules.ts'

const page = readFileSync(new URL('../../../docs/sql-gate.md', import.meta.url), 'utf8')

it('documents every rule, and no other', () => {
  const documented = [...page.matchAll(/^\| `(sql\.\w+)` \|/gm)].map((match) => match[1])
  expect(documented).toEqual(Object.keys(RULES))
})

it('documents the sentence that clients match on', () => {
  expect(page.replaceAll('\n', ' ')).toContain(READ_ONLY_MESSAGE)
})
