import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { authorizingShim, type Shim } from '../support/authorizing-shim.ts'
import {
  bad,
  type Check,
  failures,
  passed,
  type Requirements,
  requirements,
  runConformance,
  score,
} from '../support/conformance.ts'
import {
  fixtureGateway,
  type FixtureGateway,
  UPSTREAMS,
  type UpstreamName,
} from '../support/fixture-gateway.ts'
import { DIFFERENCES } from './differences.ts'
import { startFixture } from './fixture/fixture.ts'

const NAMES = Object.keys(UPSTREAMS) as UpstreamName[]

/** An extension that neither the fixture nor Postern has. */
const isTask = (text: string): boolean => text.startsWith('tasks-')

let postern: FixtureGateway
let shim: Shim
beforeAll(async () => {
  postern = await fixtureGateway(NAMES)
  shim = await authorizingShim(postern.gateway.url, postern.authorization)
})
afterAll(async () => {
  await shim.close()
  await postern.close()
})

async function through(
  name: UpstreamName,
  suite: Requirements,
): Promise<ReadonlyMap<string, readonly Check[]>> {
  const url = `${shim.url}/${name}/mcp`
  if (UPSTREAMS[name].transport === 'stdio') await warm(url)
  return await runConformance(url, suite)
}

/**
 * The suite waits for half a second where a new process may need longer: there is one for each set of
 * capabilities that a client declares, and here they are started before.
 */
async function warm(url: string): Promise<void> {
  for (const capabilities of [{}, { elicitation: {} }]) {
    const method = 'tools/list'
    const _meta = {
      'io.modelcontextprotocol/protocolVersion': '2026-07-28',
      'io.modelcontextprotocol/clientInfo': { name: 'conformance-client', version: '1.0.0' },
      'io.modelcontextprotocol/clientCapabilities': capabilities,
    }
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        'mcp-protocol-version': '2026-07-28',
        'mcp-method': method,
      },
      body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params: { _meta } }),
    })
    expect(await response.json()).toHaveProperty('result.tools')
  }
}

async function directly(
  name: UpstreamName,
  suite: Requirements,
): Promise<Awaited<ReturnType<typeof through>>> {
  const fixture = await startFixture(UPSTREAMS[name])
  try {
    return await runConformance(fixture.url, suite)
  } finally {
    await fixture.close()
  }
}

/** The scenarios that did not pass, each with the checks that did not. */
const unpassed = (
  results: ReadonlyMap<string, readonly Check[]>,
): Readonly<Record<string, readonly string[]>> => {
  const all = new Set(passed(results))
  return Object.fromEntries(
    [...results]
      .filter(([scenario]) => !all.has(scenario) && !isTask(scenario))
      .map(([scenario, checks]) => [scenario, [...new Set(bad(checks).map(({ id }) => id))].toSorted()]),
  )
}

function expected(name: UpstreamName, suite: Requirements): Readonly<Record<string, readonly string[]>> {
  const found: Record<string, string[]> = {}
  for (const { scenario, checks } of DIFFERENCES.filter(
    (one) => one.suite === suite && one.servers.includes(name),
  )) {
    found[scenario] = [...(found[scenario] ?? []), ...checks].toSorted()
  }
  return found
}

/** Client and server of the same revision: nothing is translated, and nothing may be lost. */
describe.each(['2025-11-25', '2026-07-28'] as const)('a server of the revision of the suite, %s', (suite) => {
  const name = `http-${suite}` as const
  let direct: Awaited<ReturnType<typeof through>>
  beforeAll(async () => {
    direct = await directly(name, suite)
  })

  it('scores through Postern what it scores directly, check by check', async () => {
    const results = await through(name, suite)
    expect(failures(results).filter((failure) => !isTask(failure))).toEqual([])
    expect(score(results)).toEqual(score(direct))
    expect(passed(results)).toEqual(expect.arrayContaining([...requirements(suite).required]))
  })

  if (suite === '2026-07-28') {
    it('scores the same over stdio', async () => {
      expect(score(await through('stdio-2026-07-28', suite))).toEqual(score(direct))
    })
  }
})

/** Every other pair: what cannot be carried is named and explained, and everything else passes. */
describe.each(['2025-11-25', '2026-07-28'] as const)('the suite of %s', (suite) => {
  const others = NAMES.filter(
    (name) => name !== `http-${suite}` && !(name === 'stdio-2026-07-28' && suite === '2026-07-28'),
  )

  it.each(others)('differs for %s as the table says, and nowhere else', async (name) => {
    const results = await through(name, suite)
    expect(unpassed(results)).toEqual(expected(name, suite))
  })
})

it('every difference is explained in the documentation', () => {
  const text = readFileSync(new URL('../../docs/translation.md', import.meta.url), 'utf8')
  for (const { scenario, why } of DIFFERENCES) {
    expect(text).toContain(`\`${scenario}\``)
    expect(text).toContain(why)
  }
})
