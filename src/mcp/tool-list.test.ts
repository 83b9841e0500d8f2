import { describe, expect, it } from 'vitest'
import { mcpHarness, request, stateless } from '../../test/support/mcp-harness.ts'
import { testTool, text } from '../../test/support/tools.ts'
import { listPage } from './tool-list.ts'

const tools = (count: number) =>
  Array.from({ length: count }, (_, index) =>
    testTool({ name: `tool-${String(index).padStart(4, '0')}`, run: () => text('') }),
  )

const page = (list: ReturnType<typeof tools>, cursor?: unknown) => {
  const result = listPage(list, cursor, '2025-11-25', '')
  if (!result.ok) return undefined
  return JSON.parse(result.value) as { tools: { name: string }[]; nextCursor?: string }
}

describe('pages of tools/list', () => {
  it('give every tool once, in order, whatever the number', () => {
    for (const count of [0, 1, 99, 100, 101, 250]) {
      const list = tools(count)
      const names: string[] = []
      let cursor: string | undefined
      do {
        const one = page(list, cursor)
        names.push(...(one?.tools ?? []).map(({ name }) => name))
        cursor = one?.nextCursor
      } while (cursor !== undefined)
      expect(names).toEqual(list.map((tool) => tool.rule.name))
    }
  })

  it('go on in the right place although tools were added before the cursor', () => {
    const list = tools(201)
    const first = page(list.slice(1), undefined)
    expect(page(list, first?.nextCursor)?.tools[0]?.name).toBe('tool-0101')
  })

  it.each([
    ['an invented cursor', 'invented'],
    ['an empty cursor', ''],
    ['a number', 7],
    ['null', null],
    ['a cursor of a megabyte', 'x'.repeat(1_000_000)],
    ['the name itself', 'tool-0001'],
  ])('refuse %s', (_, cursor) => {
    expect(page(tools(150), cursor)).toBeUndefined()
  })

  it('refuse a cursor on the wire with -32602, in every revision', async () => {
    const mcp = await mcpHarness({ tools: tools(150) })
    const list = await mcp.post(request('tools/list', {}))
    const next = list.json.result?.nextCursor
    const second = await mcp.post(request('tools/list', { cursor: next }))
    expect(second.json.result?.tools).toHaveLength(50)
    const wrong = await mcp.post(request('tools/list', { cursor: 'invented' }))
    expect([wrong.status, wrong.json.error?.code]).toEqual([200, -32602])
    const modern = await mcp.post(...stateless('tools/list', { cursor: 'invented' }))
    expect(modern.json.error?.code).toBe(-32602)
    await mcp.close()
  })

  it('hold only what the caller may call, and a cursor of somebody else means nothing', async () => {
    const admins = testTool({ name: 'zz-admin', rule: { level: 'admin' }, run: () => text('') })
    const mcp = await mcpHarness({ tools: [...tools(1), admins] })
    mcp.regrant('boss', { level: 'admin' })
    const names = async (as: string) => {
      const { json } = await mcp.post(request('tools/list', {}), {}, as)
      return ((json.result?.tools ?? []) as { name: string }[]).map(({ name }) => name)
    }
    expect(await names('reader')).toEqual(['tool-0000'])
    expect(await names('boss')).toEqual(['tool-0000', 'zz-admin'])
    const cursor = Buffer.from('zz-admin').toString('base64url')
    const probing = await mcp.post(request('tools/list', { cursor }), {}, 'reader')
    expect(probing.json.error?.code).toBe(-32602)
    await mcp.close()
  })
})
