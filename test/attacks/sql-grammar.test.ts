import * as fc from 'fast-check'
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { beforeAll, describe, expect, it } from 'vitest'
import { ALLOWED_KINDS, ALLOWED_NODES } from '../../src/databases/gate/allowed-nodes.ts'
import { openParser, type Parser } from '../../src/databases/gate/parse.ts'
import { TOLERATED, VETTED, type Findings, type Names } from '../../src/databases/gate/verdict.ts'
import { DEEPEST_TREE, walkTree } from '../../src/databases/gate/walk.ts'

/** Every node kind of the parser with its fields, read from the type declarations made from its grammar. */
const types = readFileSync(
  createRequire(createRequire(import.meta.url).resolve('libpg-query'))
    .resolve('@pgsql/types')
    .replace(/[^/]*$/, 'types.d.ts'),
  'utf8',
)
const kinds = [...types.slice(0, types.indexOf('export interface')).matchAll(/^ {4}(\w+): \w+;$/gm)].map(
  (m) => m[1]!,
)
const fieldsOf = new Map(
  [...types.matchAll(/^export interface (\w+) \{\n([^}]*)\}/gm)].map((m) => [
    m[1]!,
    [...m[2]!.matchAll(/^ {4}(\w+)\?: (.+);$/gm)].map((f) => ({ name: f[1]!, type: f[2]! })),
  ]),
)
const allowed = new Set<string>(ALLOWED_KINDS)
const refusedKinds = kinds.filter((kind) => !allowed.has(kind))

/** A catalogue in which every name exists and is harmless: only the shape of the tree decides. */
const harmless: Names = {
  sight: () => null,
  function: () => VETTED,
  attribute: () => VETTED,
  operator: () => VETTED,
  type: () => VETTED,
  samplingMethod: () => VETTED,
  relation: (name) => ({ ...TOLERATED, fullName: name.join('.') }),
}
const walk = (tree: unknown) => {
  const findings: Findings = { leavesNothing: true, relations: new Set() }
  return walkTree(tree, harmless, ['pg_catalog'], findings)
}

/** A read that uses every kind of node that is allowed. */
const READS = [
  `WITH RECURSIVE a(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM a) SEARCH DEPTH FIRST BY n SET o CYCLE n SET c USING p
   SELECT DISTINCT ON (x) x.y[1:2], (x).z, CASE x WHEN 1 THEN 2 ELSE 3 END, COALESCE(a, 1), GREATEST(1, 2), ROW(1, 2),
   ARRAY[1, 2], 'a'::text COLLATE "C", B'1', 1.5, true, NULL, $1, x IS NULL, x IS TRUE, NOT x AND y OR z, f(a => 1),
   sum(DISTINCT x ORDER BY y) FILTER (WHERE z) OVER (PARTITION BY a ORDER BY b USING < ROWS BETWEEN 1 PRECEDING AND CURRENT ROW),
   percentile_cont(0.5) WITHIN GROUP (ORDER BY x), GROUPING(a), CURRENT_DATE, EXISTS (SELECT 1), x = ANY (SELECT 1), x IN (1, 2), x BETWEEN 1 AND 2, *
   FROM ONLY s.t AS q(a, b) TABLESAMPLE system (1) REPEATABLE (2) NATURAL JOIN u JOIN v USING (a) AS w
   LEFT JOIN LATERAL (VALUES (1), (2)) l ON true, ROWS FROM (f(1) AS (a int, b text COLLATE "C"), g(2)) WITH ORDINALITY r
   WHERE a > 1 GROUP BY DISTINCT ROLLUP (a, b), GROUPING SETS ((a), ()) HAVING count(*) > 1
   WINDOW win AS (ORDER BY a) ORDER BY 1 DESC NULLS LAST OFFSET 1 FETCH FIRST 2 ROWS WITH TIES`,
  `SELECT xmlelement(name a, xmlattributes(1 AS b), xmlforest(1 AS c)), xmlserialize(content x AS text), x IS DOCUMENT,
   json_object('a': 1 ABSENT ON NULL), json_array(1, 2), json_array(SELECT 1), json_objectagg(a: b), json_arrayagg(a ORDER BY b),
   json('1'), json_scalar(1), json_serialize('1' RETURNING text), x IS JSON OBJECT WITH UNIQUE KEYS,
   json_value(x, '$.a' PASSING 1 AS v RETURNING int DEFAULT 1 ON EMPTY NULL ON ERROR), json_query(x FORMAT JSON, '$'), json_exists(x, '$')
   FROM xmltable(XMLNAMESPACES('u' AS n), '/a' PASSING x COLUMNS i FOR ORDINALITY, a int PATH 'b' DEFAULT 1 NOT NULL) xt,
   json_table(x, '$' AS root COLUMNS (i FOR ORDINALITY, a int PATH '$', b bool EXISTS PATH '$', NESTED PATH '$' COLUMNS (c text))) jt`,
]

let parser: Parser
let trees: Readonly<Record<string, unknown>>[]

beforeAll(async () => {
  parser = await openParser()
  trees = READS.map((sql) => {
    const parsed = parser.parse(sql)
    if (!parsed.ok) throw new Error(parsed.error.message)
    return parsed.value.stmts![0]!.stmt as Readonly<Record<string, unknown>>
  })
})

interface Place {
  readonly path: readonly (string | number)[]
  readonly wrapped: boolean
  readonly kind: string
}

/** Every place of a tree that holds a node, with or without its wrapper. */
function places(value: unknown, path: readonly (string | number)[] = []): Place[] {
  if (Array.isArray(value)) return value.flatMap((item, index) => places(item, [...path, index]))
  if (typeof value !== 'object' || value === null) return []
  const entries = Object.entries(value)
  const only = entries.length === 1 ? entries[0] : undefined
  const here: Place[] =
    only && allowed.has(only[0]) && typeof only[1] === 'object'
      ? [{ path, wrapped: true, kind: only[0] }]
      : []
  return [...here, ...entries.flatMap(([name, inner]) => places(inner, [...path, name]))]
}

function replaceAt(
  tree: unknown,
  path: readonly (string | number)[],
  change: (old: unknown) => unknown,
): unknown {
  const [first, ...rest] = path
  if (first === undefined) return change(tree)
  if (Array.isArray(tree))
    return tree.map((item, index) => (index === first ? replaceAt(item, rest, change) : item))
  const fields = tree as Record<string, unknown>
  return { ...fields, [first]: replaceAt(fields[first], rest, change) }
}

describe('the grammar of the gate', () => {
  it('knows every kind that the parser knows', () => {
    expect(kinds.length).toBeGreaterThan(250)
    expect([...allowed].filter((kind) => !kinds.includes(kind))).toEqual([])
    for (const kind of ALLOWED_KINDS)
      expect(Object.keys(ALLOWED_NODES[kind]).sort()).toEqual(
        fieldsOf
          .get(kind)!
          .map(({ name }) => name)
          .sort(),
      )
  })

  it('lets through reads made of every kind that is allowed', () => {
    for (const tree of trees) expect(walk(tree)).toBeNull()
    const used = new Set(
      trees.flatMap((tree) =>
        JSON.stringify(tree)
          .match(/"\w+":/g)!
          .map((text) => text.slice(1, -2)),
      ),
    )
    // Kinds that only stand in fields of their own, without a wrapper, are used under the field's name.
    const unwrapped = new Set([
      'Alias',
      'WithClause',
      'WindowDef',
      'TypeName',
      'CollateClause',
      'CTESearchClause',
      'CTECycleClause',
      'JsonOutput',
      'JsonReturning',
      'JsonFormat',
      'JsonBehavior',
      'JsonAggConstructor',
      'JsonArgument',
      'JsonTablePathSpec',
      'JsonKeyValue',
      'JsonValueExpr',
      'A_Indices',
      'Integer',
      'Float',
      'Boolean',
      'BitString',
    ])
    expect(ALLOWED_KINDS.filter((kind) => !used.has(kind) && !unwrapped.has(kind))).toEqual([])
  })

  it.each(refusedKinds)('refuses %s wherever a node can stand', (kind) => {
    for (const tree of trees) {
      for (const { path } of places(tree)) {
        const refused = walk(replaceAt(tree, path, () => ({ [kind]: {} })))
        expect(refused, `${kind} at ${path.join('.')}`).not.toBeNull()
        expect(refused!.rule).toMatch(/^sql\./)
        expect(refused!.allowed).toBeTruthy()
      }
    }
  })

  it('refuses every field that only writes or later stages fill', () => {
    let tried = 0
    for (const kind of ALLOWED_KINDS) {
      for (const [name, shape] of Object.entries(ALLOWED_NODES[kind])) {
        if (shape !== 'never') continue
        tried++
        for (const value of [{}, [], 0, 'x', [{ SelectStmt: {} }]])
          expect(walk({ [kind]: { [name]: value } }), `${kind}.${name}`).not.toBeNull()
      }
    }
    expect(tried).toBeGreaterThan(20)
  })

  it('refuses a node of any kind, with any fields, put anywhere, unless all of it is allowed', () => {
    const anyNode = fc.constantFrom(...kinds).chain((kind) =>
      fc.record({
        kind: fc.constant(kind),
        fields: fc
          .subarray(fieldsOf.get(kind) ?? [])
          .chain((chosen) =>
            fc.tuple(
              ...chosen.map(({ name, type }) =>
                fc.tuple(
                  fc.constant(name),
                  type.endsWith('[]')
                    ? fc.constantFrom<unknown>([], [{ DeleteStmt: {} }], [{ String: { sval: 'x' } }])
                    : fc.constantFrom<unknown>({}, { InsertStmt: {} }, 'x', 1, true, null),
                ),
              ),
            ),
          ),
      }),
    )
    /** Says independently of the walker whether a tree holds anything that is not allowed. */
    const hasForeign = (text: string): boolean => refusedKinds.some((kind) => text.includes(`"${kind}":`))
    fc.assert(
      fc.property(fc.nat(), fc.nat(), anyNode, (treeIndex, placeIndex, { kind, fields }) => {
        const tree = trees[treeIndex % trees.length]!
        const all = places(tree)
        const place = all[placeIndex % all.length]!
        const mutated = replaceAt(tree, place.path, () => ({ [kind]: Object.fromEntries(fields) }))
        const refused = walk(mutated)
        if (hasForeign(JSON.stringify(mutated))) expect(refused).not.toBeNull()
      }),
      { numRuns: 5_000 },
    )
  })

  it('refuses shapes that no parser gives', () => {
    const cases: unknown[] = [
      null,
      1,
      'SelectStmt',
      [],
      [{ SelectStmt: {} }],
      { SelectStmt: null },
      { SelectStmt: [] },
      { SelectStmt: {}, DeleteStmt: {} },
      { constructor: {} },
      { toString: {} },
      JSON.parse('{"__proto__": {}}'),
      { SelectStmt: { constructor: {} } },
      { SelectStmt: { toString: {} } },
      { SelectStmt: JSON.parse('{"__proto__": {"x": 1}}') },
      { SelectStmt: { fromClause: {} } },
      { SelectStmt: { whereClause: [] } },
      { SelectStmt: { all: { DeleteStmt: {} } } },
      { SelectStmt: { withClause: { ctes: [{ DeleteStmt: {} }] } } },
      { SelectStmt: { withClause: { ctes: [{ CommonTableExpr: {} }] } } },
      { SelectStmt: { withClause: { ctes: {} } } },
      { SelectStmt: { withClause: { ctes: [], other: 1 } } },
      { SelectStmt: { withClause: [] } },
      { SelectStmt: { larg: { intoClause: {} } } },
      { SelectStmt: { rarg: { lockingClause: [] } } },
      { RangeVar: { schemaname: 'a' } },
    ]
    for (const tree of cases) expect(walk(tree), JSON.stringify(tree)).not.toBeNull()
  })

  it('refuses what is too deep without running out of stack', () => {
    let tree: unknown = { A_Const: { isnull: true } }
    for (let depth = 0; depth < 100_000; depth++) tree = { NullTest: { arg: tree } }
    expect(walk(tree)!.rule).toBe('sql.too_deep')
    let shallow: unknown = { A_Const: { isnull: true } }
    for (let depth = 0; depth < DEEPEST_TREE - 5; depth++) shallow = { NullTest: { arg: shallow } }
    expect(walk(shallow)).toBeNull()
  })
})
