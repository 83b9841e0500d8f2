import { beforeAll, expect, test } from 'vitest'
import { openParser, type Parser } from '../../databases/gate/parse.ts'
import { ownExplain } from './own-explain.ts'

let parser: Parser
beforeAll(async () => {
  parser = await openParser()
})

test.each<[string, boolean | undefined]>([
  ['SELECT 1', undefined],
  ['SELECT explain FROM plans', undefined],
  ['explain nothing at all', undefined],
  ['-- EXPLAIN ANALYZE\nSELECT 1', undefined],
  ['EXPLAIN SELECT 1', false],
  ['-- how?\nEXPLAIN SELECT 1', false],
  ['/* how? */ explain (format json) SELECT 1', false],
  ['EXPLAIN ANALYZE SELECT 1', true],
  ['/* how? */ EXPLAIN ANALYZE VERBOSE SELECT 1', true],
  ['EXPLAIN (ANALYZE) SELECT 1', true],
  ['EXPLAIN (ANALYZE on, COSTS off) SELECT 1', true],
  ['EXPLAIN (ANALYZE 1) SELECT 1', true],
  ['EXPLAIN (ANALYZE 0) SELECT 1', false],
  ['EXPLAIN (ANALYZE off) SELECT 1', false],
  ['EXPLAIN (ANALYZE FALSE) SELECT 1', false],
  ['EXPLAIN (ANALYZE, ANALYZE off) SELECT 1', false],
])('%j analyses: %s', (query, analyzes) => {
  expect(ownExplain(parser, query)?.analyzes).toBe(analyzes)
})
