import { describe, expect, it } from 'vitest'
import { parseMessages, readMessages } from './read-messages.ts'

const read = (value: unknown) => readMessages(JSON.stringify(value))

describe('reading messages', () => {
  it('tells requests, notifications, results and errors apart', () => {
    expect(read({ jsonrpc: '2.0', id: 'a', method: 'm' })).toEqual([
      { kind: 'request', id: 'a', method: 'm', params: {} },
    ])
    expect(read({ jsonrpc: '2.0', method: 'm', params: { x: 1 } })).toEqual([
      { kind: 'notification', method: 'm', params: { x: 1 } },
    ])
    expect(read({ jsonrpc: '2.0', id: 0, result: { x: 1 } })).toEqual([
      { kind: 'result', id: 0, result: { x: 1 } },
    ])
    expect(read({ jsonrpc: '2.0', id: null, error: { code: -32_700, message: 'm', data: 1 } })).toEqual([
      { kind: 'error', id: null, error: { code: -32_700, message: 'm', data: 1 } },
    ])
  })

  it('reads a batch in its order, and none that is empty or endless', () => {
    const one = { jsonrpc: '2.0', method: 'm' }
    expect(read([one, one])).toHaveLength(2)
    expect(() => read([])).toThrow('no MCP message')
    expect(() => read(Array.from({ length: 1_001 }, () => one))).toThrow('no MCP message')
  })

  it.each([
    ['no object', 1],
    ['another version', { jsonrpc: '1.0', method: 'm' }],
    ['an id that is an object', { jsonrpc: '2.0', id: {}, method: 'm' }],
    ['an id that is null', { jsonrpc: '2.0', id: null, method: 'm' }],
    ['params that are a list', { jsonrpc: '2.0', method: 'm', params: [] }],
    ['a result that is a text', { jsonrpc: '2.0', id: 1, result: 'text' }],
    ['a result without id', { jsonrpc: '2.0', result: {} }],
    ['an error that is a text', { jsonrpc: '2.0', id: 1, error: 'text' }],
    ['an error without code', { jsonrpc: '2.0', id: 1, error: { message: 'm' } }],
    ['nothing', {}],
  ])('refuses %s', (_, value) => {
    expect(() => read(value)).toThrow(expect.objectContaining({ code: 'upstream_invalid' }) as Error)
  })

  it('refuses what is too deep to be written out again, and still says whose answer it was', () => {
    const text = `{"jsonrpc":"2.0","id":7,"result":{"x":${'['.repeat(100_000)}${']'.repeat(100_000)}}}`
    expect(() => readMessages(text)).toThrow('no MCP message')
    expect(parseMessages(text)).toEqual([{ id: 7 }])
    expect(parseMessages(text.replace('"result"', '"method":"m","params"'))).toEqual([null])
  })

  it('says whose answer one of too many was', () => {
    const many = Array.from({ length: 1_001 }, (_, id) => ({ jsonrpc: '2.0', id, result: { x: 1 } }))
    expect(parseMessages(JSON.stringify(many))).toEqual(many.map(({ id }) => ({ id })))
  })

  it.each([
    ['{"jsonrpc":"2.0","id":7,"result":{"content":[', [{ id: 7 }]],
    [' { "id" : 7 , "jsonrpc": "2.0", "error": oops', [{ id: 7 }]],
    ['{"jsonrpc":"2.0","id":7,"method":"ping"', undefined],
    ['answered {"jsonrpc":"2.0","id":7,"result":{}}', undefined],
    ['{"jsonrpc":"2.0","id":"7","result":{', undefined],
  ])('reads of broken JSON whose answer it was, where it begins as one: %s', (text, left) => {
    if (left) expect(parseMessages(text)).toEqual(left)
    else expect(() => parseMessages(text)).toThrow('no MCP message')
    expect(() => readMessages(text)).toThrow('no MCP message')
  })

  it('does not repeat what it could not read', () => {
    try {
      readMessages('{"token": "secret"')
      expect.unreachable()
    } catch (error) {
      expect(JSON.stringify([String(error), String((error as Error).cause)])).not.toContain('secret')
    }
  })
})
