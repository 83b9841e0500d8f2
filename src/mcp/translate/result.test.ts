import { describe, expect, it } from 'vitest'
import type { Params } from '../../lib/json-rpc.ts'
import { SESSION_REVISIONS } from '../../lib/revisions.ts'
import { LIST_TTL_MS, resultFor } from './result.ts'

const INFO = { name: 'a-server', version: '1' }
const TOOL = {
  name: 'one',
  title: 'The one',
  description: 'd',
  inputSchema: { type: 'object' },
  outputSchema: { type: 'object', properties: {} },
  annotations: { readOnlyHint: true },
  icons: [{ src: 'https://example.org/i.png' }],
  execution: { taskSupport: 'optional' },
  _meta: { mine: 1 },
}

const toolFor = (revision: Parameters<typeof resultFor>[2], tool: Params = TOOL): Params =>
  (resultFor('tools/list', { tools: [tool] }, revision, INFO).tools as readonly Params[])[0] ?? {}

describe('lists', () => {
  it('of tools have what the revision knows', () => {
    expect(Object.keys(toolFor('2025-11-25'))).toEqual(Object.keys(TOOL))
    expect(toolFor('2026-07-28')).not.toHaveProperty('execution')
    expect(Object.keys(toolFor('2025-06-18'))).toEqual([
      'name',
      'title',
      'description',
      'inputSchema',
      'outputSchema',
      'annotations',
      '_meta',
    ])
    expect(toolFor('2025-03-26')).toEqual({
      name: 'one',
      description: 'd',
      inputSchema: { type: 'object' },
      annotations: { title: 'The one', readOnlyHint: true },
      _meta: { mine: 1 },
    })
    expect(toolFor('2024-11-05')).toEqual({
      name: 'one',
      description: 'd',
      inputSchema: { type: 'object' },
      _meta: { mine: 1 },
    })
  })

  it('keep a title that the hints of a tool have already', () => {
    const tool = { ...TOOL, annotations: { title: 'older' } }
    expect(toolFor('2025-03-26', tool).annotations).toEqual({ title: 'older' })
  })

  it('promise no structure that a client would take for broken', () => {
    const tool = { ...TOOL, outputSchema: { type: 'array', items: { type: 'string' } } }
    expect(toolFor('2026-07-28', tool)).toHaveProperty('outputSchema')
    expect(toolFor('2025-11-25', tool)).not.toHaveProperty('outputSchema')
  })

  it('of prompts and resources lose titles and icons', () => {
    const icons = [{ src: 'x' }]
    const prompts = { prompts: [{ name: 'p', title: 'P', icons, arguments: [{ name: 'a', title: 'A' }] }] }
    expect(resultFor('prompts/list', prompts, '2025-03-26', INFO)).toEqual({
      prompts: [{ name: 'p', arguments: [{ name: 'a' }] }],
    })
    const resources = {
      resources: [
        { uri: 'a:b', name: 'r', title: 'R', icons, annotations: { lastModified: 'd', priority: 1 } },
      ],
    }
    expect(resultFor('resources/list', resources, '2025-03-26', INFO)).toEqual({
      resources: [{ uri: 'a:b', name: 'r', annotations: { priority: 1 } }],
    })
    expect(resultFor('resources/list', resources, '2025-06-18', INFO)).toEqual({
      resources: [{ uri: 'a:b', name: 'r', title: 'R', annotations: { lastModified: 'd', priority: 1 } }],
    })
  })

  it('are lists also where the server sent none', () => {
    expect(resultFor('tools/list', {}, '2025-11-25', INFO)).toEqual({ tools: [] })
    expect(resultFor('resources/templates/list', { resourceTemplates: 7 }, '2025-11-25', INFO)).toEqual({
      resourceTemplates: [],
    })
  })

  it('say in 2026-07-28 how long they hold, and never that they are for everybody', () => {
    const kept = resultFor('tools/list', { tools: [], ttlMs: 5, cacheScope: 'public' }, '2026-07-28', INFO)
    expect(kept).toMatchObject({ resultType: 'complete', ttlMs: 5, cacheScope: 'private' })
    for (const ttlMs of [undefined, -1, 1.5, 'long', Number.MAX_VALUE]) {
      expect(resultFor('tools/list', { tools: [], ttlMs }, '2026-07-28', INFO).ttlMs).toBe(LIST_TTL_MS)
    }
    expect(resultFor('resources/read', { contents: [] }, '2026-07-28', INFO)).toMatchObject({
      ttlMs: 0,
      cacheScope: 'private',
    })
    expect(resultFor('tools/call', { content: [] }, '2026-07-28', INFO)).not.toHaveProperty('ttlMs')
  })

  it.each(SESSION_REVISIONS)('say nothing of it in %s', (revision) => {
    const result = { tools: [], ttlMs: 5, cacheScope: 'public', resultType: 'complete' }
    expect(resultFor('tools/list', result, revision, INFO)).toEqual({ tools: [] })
  })
})

describe('results of calls', () => {
  it('name their server in 2026-07-28, and keep the rest of `_meta`', () => {
    expect(resultFor('tools/call', { content: [], _meta: { a: 1 } }, '2026-07-28', INFO)).toEqual({
      resultType: 'complete',
      content: [],
      _meta: { 'io.modelcontextprotocol/serverInfo': INFO, a: 1 },
    })
  })

  it('have content always', () => {
    expect(resultFor('tools/call', { isError: true }, '2025-11-25', INFO)).toEqual({
      isError: true,
      content: [],
    })
  })

  it('say in words what their client knows no structure for', () => {
    const only = { content: [], structuredContent: { a: 1 } }
    expect(resultFor('tools/call', only, '2025-06-18', INFO)).toEqual(only)
    expect(resultFor('tools/call', only, '2025-03-26', INFO)).toEqual({
      content: [{ type: 'text', text: '{"a":1}' }],
    })
    const both = { content: [{ type: 'text', text: 'one' }], structuredContent: { a: 1 } }
    expect(resultFor('tools/call', both, '2024-11-05', INFO)).toEqual({
      content: [{ type: 'text', text: 'one' }],
    })
    const list = { content: [], structuredContent: [1, 2] }
    expect(resultFor('tools/call', list, '2026-07-28', INFO)).toMatchObject({ structuredContent: [1, 2] })
    expect(resultFor('tools/call', list, '2025-11-25', INFO)).toEqual({
      content: [{ type: 'text', text: '[1,2]' }],
    })
  })

  it('that are a task pass as they are', () => {
    const task = { task: { taskId: 't', status: 'working' } }
    expect(resultFor('tools/call', task, '2025-11-25', INFO)).toEqual(task)
  })

  it('translate the messages of a prompt', () => {
    const messages = [{ role: 'user', content: { type: 'resource_link', uri: 'a:b', name: 'n' } }]
    expect(resultFor('prompts/get', { messages }, '2025-03-26', INFO)).toEqual({
      messages: [{ role: 'user', content: { type: 'text', text: 'Resource n: a:b' } }],
    })
  })
})
