import { afterAll, beforeAll, describe } from 'vitest'
import { SUPPORTED_REVISIONS } from '../../src/lib/revisions.ts'
import {
  fixtureGateway,
  type FixtureGateway,
  UPSTREAMS,
  type UpstreamName,
} from '../support/fixture-gateway.ts'
import { behaviours, PAGE_SIZE } from './behaviours.ts'

/** Every client through Postern to every server: what it may expect is the same as with nothing between. */
const NAMES = Object.keys(UPSTREAMS) as UpstreamName[]

let postern: FixtureGateway
beforeAll(async () => {
  postern = await fixtureGateway(NAMES, { pageSize: PAGE_SIZE })
})
afterAll(() => postern.close())

describe.each(NAMES)('a server of %s', (name) => {
  describe.each(SUPPORTED_REVISIONS)('and a client of %s', (client) => {
    behaviours({
      client,
      upstream: UPSTREAMS[name].revision,
      connect: (options) => postern.connect(client, name, options),
    })
  })
})
