import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { authorizingShim, type Shim } from '../support/authorizing-shim.ts'
import { conformanceTools } from '../support/conformance-tools.ts'
import { type McpHarness, mcpHarness } from '../support/mcp-harness.ts'

interface Check {
  readonly id: string
  readonly status: string
  readonly errorMessage?: string
}

/** Scenarios that Postern's own tools must pass whole. */
const PASSED: Readonly<Record<string, readonly string[]>> = {
  '2025-11-25': [
    'server-initialize',
    'ping',
    'tools-list',
    'tools-call-simple-text',
    'tools-call-error',
    'server-sse-multiple-streams',
    'dns-rebinding-protection',
    'server-session-lifecycle',
    'json-schema-2020-12',
  ],
  '2026-07-28': [
    'tools-list',
    'tools-call-simple-text',
    'tools-call-error',
    'server-sse-multiple-streams',
    'dns-rebinding-protection',
    'input-required-result-unsupported-methods',
    'http-header-validation',
    'http-custom-header-server-validation',
    'json-schema-2020-12',
  ],
}

/** Scenarios passed but for checks of something that Postern's own tools do not have; the checks are named. */
const PARTLY_PASSED: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>> = {
  '2025-11-25': {},
  '2026-07-28': {
    // No tool of ours needs a capability of the client, so none can miss one.
    'server-stateless': [
      'sep-2575-missing-capability-http-400',
      'sep-2575-server-rejects-undeclared-capability',
    ],
    // No prompts and no resources.
    caching: [
      'sep-2549-prompts-list-caching-hints',
      'sep-2549-resources-list-caching-hints',
      'sep-2549-resources-templates-list-caching-hints',
    ],
  },
}

const BIN = join(
  dirname(createRequire(import.meta.url).resolve('@modelcontextprotocol/conformance/package.json')),
  'dist/index.js',
)

let mcp: McpHarness
let shim: Shim
let scratch: string
beforeAll(async () => {
  mcp = await mcpHarness({ tools: conformanceTools(() => mcp.endpoint.toolsChanged()) })
  shim = await authorizingShim(mcp.url, 'Bearer token-reader')
  scratch = mkdtempSync(join(tmpdir(), 'postern-conformance-'))
})
afterAll(async () => {
  await shim.close()
  await mcp.close()
  rmSync(scratch, { recursive: true, force: true })
})

/** Runs every scenario of one set of requirements and gives the checks of each by scenario. */
async function run(revision: string): Promise<Map<string, readonly Check[]>> {
  const out = join(scratch, revision)
  const args = [BIN, 'server', '--url', `${shim.url}/mcp`, '--requirements', revision, '-o', out]
  // It exits with 1 when any scenario fails, those about prompts and resources included: the files tell.
  await new Promise((resolve) => {
    execFile(process.execPath, args, { maxBuffer: 64 * 1024 * 1024 }, resolve)
  })
  const found = new Map<string, readonly Check[]>()
  for (const folder of readdirSync(out)) {
    const scenario = /^server-(.+?)-\d{4}-\d\d-\d\dT/.exec(folder)?.[1]
    const checks = readFileSync(join(out, folder, 'checks.json'), 'utf8')
    if (scenario !== undefined) found.set(scenario, JSON.parse(checks) as Check[])
  }
  return found
}

const bad = (checks: readonly Check[] | undefined) =>
  (checks ?? []).filter(({ status }) => status === 'FAILURE' || status === 'WARNING')

describe.each(Object.keys(PASSED))('the official conformance suite, %s', (revision) => {
  let results: Map<string, readonly Check[]>
  beforeAll(async () => {
    results = await run(revision)
  }, 120_000)

  it('runs scenarios with checks', () => {
    expect(results.size).toBeGreaterThan(30)
    expect([...results.values()].flat().length).toBeGreaterThan(60)
  })

  it.each(PASSED[revision] ?? [])('%s', (scenario) => {
    const checks = results.get(scenario)
    expect(bad(checks)).toEqual([])
    expect(checks?.some(({ status }) => status === 'SUCCESS')).toBe(true)
  })

  it.each(Object.entries(PARTLY_PASSED[revision] ?? {}))('%s, but for %j', (scenario, missing) => {
    const ids = bad(results.get(scenario)).map(({ id }) => id)
    expect([...new Set(ids)].sort()).toEqual([...missing].sort())
    const passed = results.get(scenario)?.filter(({ status }) => status === 'SUCCESS')
    expect(passed?.length).toBeGreaterThan(3)
  })

  it('sends nothing that is against the schema of the revision, in any scenario', () => {
    const wrong = [...results].flatMap(([scenario, checks]) =>
      checks
        .filter(({ id, status }) => id === 'wire-schema-valid' && status !== 'SUCCESS')
        .map(({ errorMessage }) => `${scenario}: ${errorMessage}`),
    )
    expect(wrong).toEqual([])
    expect([...results.values()].flat().some(({ id }) => id === 'wire-schema-valid')).toBe(true)
  })
})
