import { performance } from 'node:perf_hooks'
import type { Relation, SchemaColumn } from '../src/databases/schema/relation.ts'
import { buildSearch } from '../src/databases/schema/search.ts'
import { words } from '../src/databases/schema/words.ts'
import { editDistance } from '../src/lib/spelling.ts'

/**
 * Searches a made-up catalogue of 10,000 tables with 12 columns each, with the index and, in the same run,
 * with the scan of all names that one would write first. Run: node --expose-gc bench/schema-search.ts
 */
const TABLES = 10_000
const COLUMNS = 12
const ROUNDS = 20
const QUERIES = [
  'customer',
  'custmer',
  'invoice line total',
  'ship',
  'show me all overdue payments of last month',
  'tenant_id',
]

const SUBJECTS =
  'customer order invoice payment shipment product machine sensor user account ticket contract supplier warehouse batch recipe device alert report claim'.split(
    ' ',
  )
const ASPECTS =
  'line history archive detail status note address total schedule audit event mapping summary rule item'.split(
    ' ',
  )
const PREFIXES = 'sales hr fin mfg crm ops legal it'.split(' ')
const COLUMN_NAMES =
  'id tenant_id created_at updated_at name status amount quantity due_on reference email note country weight_kg unit_price overdue approved_by'.split(
    ' ',
  )

let seed = 42
const roll = (below: number): number => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0
  return seed % below
}
const pick = (list: readonly string[]): string => list[roll(list.length)] ?? ''

const relations = Array.from({ length: TABLES }, (_, at): Relation => {
  const subject = pick(SUBJECTS)
  const columns = Array.from({ length: COLUMNS }, (__, nth): SchemaColumn => {
    const name =
      nth === 0 ? 'id' : nth < 8 ? `${pick(COLUMN_NAMES)}_${nth}` : `${pick(SUBJECTS)}_${pick(ASPECTS)}`
    return {
      name,
      type: 'text',
      nullable: true,
      default: null,
      comment: roll(3) === 0 ? `The ${pick(ASPECTS)} of the ${subject}` : null,
    }
  })
  return {
    schema: pick(PREFIXES),
    name: `${pick(PREFIXES)}_${subject}_${pick(ASPECTS)}_${at}`,
    kind: 'table',
    comment: roll(2) === 0 ? `Each ${pick(ASPECTS)} that belongs to a ${subject}` : null,
    estimatedRows: roll(100_000),
    columns,
    primaryKey: ['id'],
    uniqueKeys: [],
    foreignKeys: [],
    referencedBy: [],
  }
})

/** The scan: every name and comment of every table, each word compared. */
function scan(query: string): number {
  const asked = words(query)
  let found = 0
  for (const relation of relations) {
    let score = 0
    const texts = [
      relation.name,
      relation.comment ?? '',
      ...relation.columns.flatMap((column) => [column.name, column.comment ?? '']),
    ]
    for (const text of texts) {
      for (const word of asked) {
        if (text.toLowerCase().includes(word)) score += 2
        else if (
          word.length > 3 &&
          words(text).some(
            (part) => Math.abs(part.length - word.length) < 2 && editDistance(part, word) === 1,
          )
        )
          score += 1
      }
    }
    if (score > 0) found++
  }
  return found
}

const memory = (): number => {
  globalThis.gc?.()
  return process.memoryUsage().heapUsed + process.memoryUsage().arrayBuffers
}

const before = memory()
let longestPauseMs = 0
let last = performance.now()
const watch = setInterval(() => {
  longestPauseMs = Math.max(longestPauseMs, performance.now() - last)
  last = performance.now()
}, 1)
const startedAt = performance.now()
const index = await buildSearch(relations)
const buildMs = performance.now() - startedAt
clearInterval(watch)
const memoryMb = (memory() - before) / 1024 / 1024

console.log(
  `${TABLES} tables of ${COLUMNS} columns: index built in ${buildMs.toFixed(0)} ms (longest pause ${longestPauseMs.toFixed(0)} ms), ${memoryMb.toFixed(1)} MB`,
)
console.log('query | index ms | scan ms | ratio')
for (const query of QUERIES) {
  for (let warm = 0; warm < 5; warm++) index.search(query, 10)
  const indexed: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const at = performance.now()
    index.search(query, 10)
    indexed.push(performance.now() - at)
  }
  const at = performance.now()
  scan(query)
  const scanMs = performance.now() - at
  const median = indexed.sort((a, b) => a - b)[ROUNDS / 2] ?? 0
  console.log(`${query} | ${median.toFixed(2)} | ${scanMs.toFixed(0)} | ${(scanMs / median).toFixed(0)}x`)
}
