import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { authorizingShim, type Shim } from '../support/authorizing-shim.ts'
import { bad, type Check, runConformance } from '../support/conformance.ts'
import { conformanceTools } from '../support/conformance-tools.ts'
import { type McpHarness, mcpHarness } from '../support/mcp-harness.ts'

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

let mcp: McpHarness
let shim: Shim
beforeAll(async () => {
  mcp = await mcpHarness({ tools: conformanceTools(() => mcp.endpoint.toolsChanged()) })
  shim = await authorizingShim(mcp.url, 'Bearer token-reader')
})
afterAll(async () => {
  await shim.close()
  await mcp.close()
})

describe.each(Object.keys(PASSED))('the official conformance suite, %s', (revision) => {
  let results: Map<string, readonly Check[]>
  beforeAll(async () => {
    results = await runConformance(`${shim.url}/mcp`, revision)
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
