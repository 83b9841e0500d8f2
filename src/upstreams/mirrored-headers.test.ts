import { describe, expect, it } from 'vitest'
import { mirroredParams, mirroringHeaders } from './mirrored-headers.ts'

const schema = (properties: Record<string, unknown>, more: Record<string, unknown> = {}) => ({
  type: 'object',
  properties,
  ...more,
})

const REGION = { type: 'string', 'x-mcp-header': 'Region' }

describe('mirroredParams', () => {
  it('finds annotations along chains of properties', () => {
    expect(
      mirroredParams(
        schema({
          region: REGION,
          where: schema({ deep: { type: 'integer', 'x-mcp-header': 'X-Deep' } }),
          plain: { type: 'string' },
        }),
      ),
    ).toEqual([
      { header: 'mcp-param-region', path: ['region'] },
      { header: 'mcp-param-x-deep', path: ['where', 'deep'] },
    ])
  })

  it.each([undefined, null, true, 'x', { type: 'object' }, { properties: [] }])(
    'finds none in %j',
    (value) => {
      expect(mirroredParams(value)).toEqual([])
    },
  )

  it('takes a property of that name for a property', () => {
    expect(mirroredParams(schema({ 'x-mcp-header': { type: 'string' } }))).toEqual([])
  })

  it.each([
    ['an empty name', schema({ a: { type: 'string', 'x-mcp-header': '' } })],
    ['a name with a space', schema({ a: { type: 'string', 'x-mcp-header': 'a b' } })],
    ['a name with a line end', schema({ a: { type: 'string', 'x-mcp-header': 'a\r\nb' } })],
    ['a name that is no text', schema({ a: { type: 'string', 'x-mcp-header': 1 } })],
    ['a number', schema({ a: { type: 'number', 'x-mcp-header': 'A' } })],
    ['an object', schema({ a: { type: 'object', 'x-mcp-header': 'A' } })],
    ['two of one name', schema({ a: REGION, b: { type: 'string', 'x-mcp-header': 'REGION' } })],
    ['items', schema({ a: { type: 'array', items: REGION } })],
    ['a choice', schema({}, { oneOf: [schema({ a: REGION })] })],
    ['a condition', schema({ a: { type: 'string' } }, { if: schema({ a: REGION }) })],
    ['a definition', schema({}, { $defs: { a: REGION } })],
    ['the root', { ...schema({}), ...REGION }],
  ])('refuses a tool with an annotation on %s', (_name, value) => {
    expect(mirroredParams(value)).toBeUndefined()
  })

  it('is not led astray by depth', () => {
    let deep: Record<string, unknown> = REGION
    for (let i = 0; i < 10_000; i++) deep = i % 2 === 0 ? { properties: { a: deep } } : { not: deep }
    expect(mirroredParams(deep)).toBeDefined()
  })
})

describe('mirroringHeaders', () => {
  const mirrored = [
    { header: 'mcp-param-region', path: ['region'] },
    { header: 'mcp-param-deep', path: ['where', 'deep'] },
  ]

  it('says method, name and arguments of a call', () => {
    expect(
      mirroringHeaders(
        'tools/call',
        { name: 'sql', arguments: { region: 'eu', where: { deep: 42 } } },
        mirrored,
      ),
    ).toEqual({
      'mcp-method': 'tools/call',
      'mcp-name': 'sql',
      'mcp-param-region': 'eu',
      'mcp-param-deep': '42',
    })
  })

  it.each([
    [{ region: null }],
    [{}],
    [{ region: 1.5 }],
    [{ region: 2 ** 60 }],
    [{ region: { a: 1 } }],
    [undefined],
    [[]],
    [{ where: 'text' }],
  ])('leaves out what is not there or has no text: %j', (args) => {
    expect(mirroringHeaders('tools/call', { name: 'sql', arguments: args }, mirrored)).toEqual({
      'mcp-method': 'tools/call',
      'mcp-name': 'sql',
    })
  })

  it.each([
    ['prompts/get', { name: 'p' }, 'p'],
    ['resources/read', { uri: 'file:///ä b' }, '=?base64?ZmlsZTovLy/DpCBi?='],
    ['tools/list', { name: 'x', cursor: 'y' }, undefined],
  ])('names the target of %s', (method, params, name) => {
    expect(mirroringHeaders(method, params, [])['mcp-name']).toBe(name)
  })
})
