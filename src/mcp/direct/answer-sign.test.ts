import { describe, expect, it } from 'vitest'
import { AnswerSign } from './answer-sign.ts'

const looks = (id: string | number, ...chunks: readonly string[]): boolean => {
  const sign = new AnswerSign(id)
  for (const chunk of chunks) sign.look(Buffer.from(chunk))
  return sign.seen
}

describe('the sign of an answer', () => {
  it.each<[string | number, string]>([
    [7, 'data: {"jsonrpc":"2.0","id":7,"result":{}}\n\n'],
    [7, 'data: {"result":{},"jsonrpc":"2.0","id":7}\n\n'],
    ['a"b', 'data: {"jsonrpc": "2.0", "id": "a\\"b", "result": {}}\n\n'],
    ['é'.repeat(500), `data: {"id":"${'é'.repeat(500)}","result":{}}\n\n`],
  ])('is the id %j in %j, wherever chunks end', (id, text) => {
    expect(looks(id, text)).toBe(true)
    for (let at = 1; at < text.length; at += 1)
      expect(looks(id, text.slice(0, at), text.slice(at))).toBe(true)
    expect(looks(id, ...text.split(''))).toBe(true)
  })

  it('is not in messages of others', () => {
    expect(looks(7, 'data: {"jsonrpc":"2.0","method":"notifications/message","params":{"data":7}}\n\n')).toBe(
      false,
    )
    expect(looks('7', 'data: {"jsonrpc":"2.0","id":7,"method":"ping"}\n\n')).toBe(false)
    expect(looks(7)).toBe(false)
  })
})
