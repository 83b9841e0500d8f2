import { describe, expect, it } from 'vitest'
import type { RequestId } from '../lib/json-rpc.ts'
import { ChannelLink } from './channel-link.ts'

const open = () => {
  const link = new ChannelLink({ send: () => undefined, close: () => undefined })
  const { signal } = new AbortController()
  const ask = () => link.request({ method: 'tools/call', params: {} }, { signal })
  return { link, ask }
}

const INVALID = { code: 'upstream_invalid' }

describe('ChannelLink', () => {
  it.each([
    ['is cut off', (id: RequestId) => `{"jsonrpc":"2.0","id":${id},"result":{"content":`],
    [
      'is too deep',
      (id: RequestId) =>
        `{"jsonrpc":"2.0","id":${id},"result":{"x":${'['.repeat(9_999)}${']'.repeat(9_999)}}}`,
    ],
    [
      'is one of too many',
      (id: RequestId) =>
        JSON.stringify(Array.from({ length: 1_001 }, () => ({ jsonrpc: '2.0', id, result: {} }))),
    ],
    ['is of no version', (id: RequestId) => `{"id":${id},"result":{}}`],
  ])('F10 fails the one request at once whose answer %s', async (_, answer) => {
    const { link, ask } = open()
    const broken = ask()
    const whole = ask()
    expect(link.receive(answer(broken.id)).garbage).toBe(true)
    await expect(broken.answer).rejects.toMatchObject(INVALID)
    link.receive(`{"jsonrpc":"2.0","id":${whole.id},"result":{"y":1}}`)
    expect(await whole.answer).toMatchObject({ kind: 'result', result: { y: 1 } })
  })

  it('F10 lets nobody pay for a line that is nobody’s answer', async () => {
    const { link, ask } = open()
    const { id, answer } = ask()
    for (const line of ['no message', '[]', `{"jsonrpc":"2.0","id":${Number(id) + 1},"result":`])
      expect(link.receive(line)).toMatchObject({ garbage: true, unasked: 1 })
    link.receive(`{"jsonrpc":"2.0","id":${id},"result":{}}`)
    expect(await answer).toMatchObject({ kind: 'result' })
  })
})
