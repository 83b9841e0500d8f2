import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { manualClock } from '../../../test/support/clock.ts'
import { soon } from '../../../test/support/soon.ts'
import type { EndReason } from '../../identity/lifelines.ts'
import { STATELESS_REVISION } from '../../lib/revisions.ts'
import { ok } from '../../lib/result.ts'
import type { Backend, GuardedAnswer, GuardedRequest } from '../../tools/backend/backend.ts'
import type { ServerFacts } from '../../upstreams/conversation.ts'
import type { McpExchange } from '../exchange.ts'
import { KeptConversation } from './kept-conversation.ts'
import { judgeMirrored } from './mirrored-params.ts'

const caller = Object.freeze({
  principal: { kind: 'service', id: 'o', name: 'o' },
  credential: { id: 'c', kind: 'static', name: 'c', createdAt: null, expiresAt: null },
  grant: { tenant: 'default', level: 'read-only', scopes: 'all', servers: 'all', databases: 'all' },
} as const)

const TOOLS = [
  {
    name: 'here',
    inputSchema: {
      type: 'object',
      properties: { region: { type: 'string', 'x-mcp-header': 'Region' } },
    },
  },
]

/** A call of `here`, with a server whose lists are answered by `list`. */
async function begin(list: (call: GuardedRequest) => Promise<GuardedAnswer>) {
  const clock = manualClock()
  const about: ServerFacts = {
    revision: STATELESS_REVISION,
    capabilities: { tools: {} },
    serverInfo: { name: 's', version: '1' },
  }
  const backend = {
    server: 's',
    open: () =>
      Promise.resolve(
        ok({
          about,
          request: list,
          notify: () => undefined,
          listen: () => Promise.resolve({}),
          close: () => undefined,
        }),
      ),
    admit: () => {
      throw new Error('nothing passes as it is here')
    },
    direct: () => undefined,
    visibleTools: () => [],
  } satisfies Backend
  const kept = new KeptConversation('k', backend, {
    clientInfo: { name: 't', version: '1' },
    capabilities: {},
    revision: STATELESS_REVISION,
  })
  await kept.live.get(caller, 'r')
  let heard: ((reason: EndReason | 'gone') => void) | undefined
  const request = new IncomingMessage(new Socket())
  request.headers['mcp-param-region'] = 'eu'
  const exchange: McpExchange = {
    request,
    response: new ServerResponse(request),
    caller,
    body: undefined,
    requestId: 'r',
    path: 'streamable',
    url: new URL('http://localhost/s/mcp'),
    backend,
    replyHeaders: [],
    dress: () => undefined,
    onEnd: (given) => {
      heard = given
    },
  }
  const judged = judgeMirrored(exchange, { name: 'here', arguments: { region: 'us' } }, kept, clock)
  judged.catch(() => undefined)
  return { clock, judged, kept, end: (reason: EndReason | 'gone') => heard?.(reason) }
}

/** As a server that never answers: only giving up ends it. */
const never = async ({ signal }: GuardedRequest): Promise<GuardedAnswer> =>
  await new Promise((_, reject) => {
    signal.addEventListener('abort', () => {
      reject(signal.reason as Error)
    })
  })

describe('judgeMirrored', () => {
  it('judges by the schemas of all pages', async () => {
    const { judged } = await begin(({ params }) =>
      Promise.resolve({
        kind: 'result',
        result: params['cursor'] === undefined ? { tools: [], nextCursor: '2' } : { tools: TOOLS },
      }),
    )
    expect(await judged).toMatchObject({ status: 400, code: -32_020 })
  })

  it('waits for a list as long as the clock says, and keeps nothing of it', async () => {
    const { clock, judged, kept } = await begin(never)
    clock.advance(10_000)
    await expect(judged).rejects.toMatchObject({ code: 'upstream_timeout' })
    expect(kept.schemas).toBeUndefined()
  })

  it.each([
    ['gone', { data: { code: 'cancelled' } }],
    ['revoked', { status: 401 }],
    ['changed', { data: { code: 'cancelled', rule: 'credential.changed' } }],
  ] as const)('gives the list up at once when it is stopped: %s', async (reason, error) => {
    let asked = false
    const { judged, end } = await begin((call) => {
      asked = true
      return never(call)
    })
    await soon(() => asked).toBe(true)
    end(reason)
    expect(await judged).toMatchObject(error)
  })
})
