import { afterAll, describe } from 'vitest'
import { type Revision, STATELESS_REVISION } from '../../src/lib/revisions.ts'
import { fixtureCommand } from '../support/fixture-upstream.ts'
import { httpTransport, sessionClient, stdioTransport } from '../support/session-client.ts'
import { statelessClient, statelessHttp, statelessStdio } from '../support/stateless-client.ts'
import { behaviours, PAGE_SIZE } from './behaviours.ts'
import { type Fixture, type FixtureOptions, startFixture } from './fixture/fixture.ts'

/** The clients and the fixture of the same revision, with nothing between them: so the rest can be trusted. */
const PAIRS: readonly (readonly [FixtureOptions['transport'], Revision])[] = [
  ['sse', '2024-11-05'],
  ['http', '2025-03-26'],
  ['http', '2025-06-18'],
  ['http', '2025-11-25'],
  ['http', '2026-07-28'],
  ['stdio', '2025-11-25'],
  ['stdio', '2026-07-28'],
]

const fixtures: Fixture[] = []
afterAll(async () => {
  for (const fixture of fixtures) await fixture.close()
})

describe.each(PAIRS)('the fixture over %s in %s', (transport, revision) => {
  behaviours({
    client: revision,
    upstream: revision,
    async connect(client) {
      const options = { transport, revision, pageSize: PAGE_SIZE }
      if (transport === 'stdio') {
        const command = fixtureCommand(options)
        return revision === STATELESS_REVISION
          ? statelessClient(statelessStdio(command), client)
          : sessionClient(revision, stdioTransport(command), client)
      }
      const fixture = await startFixture(options)
      fixtures.push(fixture)
      return revision === STATELESS_REVISION
        ? statelessClient(statelessHttp(fixture), client)
        : sessionClient(revision, httpTransport(fixture), client)
    },
  })
})
