import { describe, expect, it } from 'vitest'
import { messageText } from './message-text.ts'

const trace = { traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`, tracestate: 'vendor=1' }
const paramsOf = (text: string): unknown => (JSON.parse(text) as { params: unknown }).params

describe('messageText', () => {
  it('writes requests, and notifications without an id', () => {
    expect(messageText('a"b', 'tools/call', { name: 'x' }, undefined)).toBe(
      '{"jsonrpc":"2.0","id":"a\\"b","method":"tools/call","params":{"name":"x"}}',
    )
    expect(messageText(undefined, 'notifications/cancelled', {}, trace)).toBe(
      '{"jsonrpc":"2.0","method":"notifications/cancelled","params":{}}',
    )
  })

  it.each([
    ['malformed', { traceparent: '00-zz-zz-01', tracestate: '=' }],
    ['no text', { traceparent: { toString: 1 }, tracestate: ['a=1'] }],
    ['a state alone', { tracestate: 'a=1' }],
    ['in other letters', { Traceparent: 'x', TRACESTATE: 'y', traceſtate: 'z' }],
    ['baggage', { baggage: 'user=somebody' }],
  ])('sends nothing on that was not checked: %s', (_, named) => {
    const params = { name: 'x', _meta: { progressToken: 1, ...named } }
    expect(paramsOf(messageText(1, 'tools/call', params, undefined))).toEqual({
      name: 'x',
      _meta: { progressToken: 1 },
    })
    expect(paramsOf(messageText(1, 'tools/call', params, trace))).toEqual({
      name: 'x',
      _meta: { progressToken: 1, ...trace },
    })
  })

  it('leaves alone what only looks like it', () => {
    const params = {
      name: 'x',
      arguments: { traceparent: 'mine', _meta: { traceparent: 'mine' } },
      _meta: { 'com.example/traceparent': 'mine' },
    }
    expect(paramsOf(messageText(1, 'tools/call', params, trace))).toEqual(params)
    expect(paramsOf(messageText(1, 'tools/call', { _meta: 'traceparent' }, trace))).toEqual({
      _meta: 'traceparent',
    })
  })
})
