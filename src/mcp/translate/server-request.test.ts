import { describe, expect, it } from 'vitest'
import type { Params } from '../../lib/json-rpc.ts'
import type { Revision } from '../../lib/revisions.ts'
import { answerBack, serverRequestFor } from './server-request.ts'

const ALL = { roots: {}, sampling: { tools: {} }, elicitation: { form: {}, url: {} } }

const carried = (method: string, params: Params, revision: Revision, capabilities: Params = ALL) =>
  serverRequestFor(method, params, { capabilities, revision })

const form = (properties: Params): Params => ({
  mode: 'form',
  message: 'm',
  requestedSchema: { type: 'object', properties },
})

describe('requests of a server', () => {
  it.each([
    ['roots/list', 'roots'],
    ['sampling/createMessage', 'sampling'],
    ['elicitation/create', 'elicitation'],
  ])('%s is not put to a client that did not declare %s', (method, capability) => {
    expect(carried(method, { message: 'm' }, '2025-11-25', {})).toEqual({
      ok: false,
      error: { code: -32601, message: `the client did not declare ${capability}` },
    })
  })

  it('are never anything else', () => {
    for (const method of ['tools/call', 'ping', 'constructor', '__proto__']) {
      expect(carried(method, {}, '2025-11-25')).toMatchObject({ ok: false, error: { code: -32601 } })
    }
  })

  it('are not elicitation before there was any, whatever a client declares', () => {
    expect(carried('elicitation/create', form({}), '2025-03-26')).toMatchObject({
      ok: false,
      error: { code: -32601 },
    })
  })

  it('lose what would make a task of them', () => {
    expect(carried('roots/list', { task: { ttl: 1 } }, '2025-11-25')).toEqual({
      ok: true,
      value: { params: {} },
    })
  })
})

describe('sampling', () => {
  const messages = [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'a' },
        { type: 'audio', data: 'AA==', mimeType: 'audio/wav' },
      ],
    },
  ]

  it('has several parts in a message where the revision has them', () => {
    expect(carried('sampling/createMessage', { messages }, '2025-11-25')).toMatchObject({
      value: { params: { messages } },
    })
    expect(carried('sampling/createMessage', { messages }, '2025-06-18')).toMatchObject({
      value: {
        params: {
          messages: [
            { role: 'user', content: { type: 'text', text: 'a' } },
            { role: 'user', content: { type: 'audio' } },
          ],
        },
      },
    })
    expect(carried('sampling/createMessage', { messages }, '2024-11-05')).toMatchObject({
      value: { params: { messages: [{}, { content: { type: 'text' } }] } },
    })
  })

  it('has tools only for a client that declared them', () => {
    const params = { messages: [], tools: [] }
    expect(carried('sampling/createMessage', params, '2025-11-25')).toMatchObject({ ok: true })
    expect(carried('sampling/createMessage', params, '2025-11-25', { sampling: {} })).toMatchObject({
      ok: false,
      error: { code: -32602 },
    })
    expect(carried('sampling/createMessage', params, '2025-06-18')).toMatchObject({ ok: false })
  })
})

describe('elicitation', () => {
  it('of a page is for those who declared it', () => {
    const page = { mode: 'url', message: 'm', url: 'https://example.org', elicitationId: 'e' }
    expect(carried('elicitation/create', page, '2025-11-25')).toEqual({ ok: true, value: { params: page } })
    const { elicitationId: _, ...without } = page
    expect(carried('elicitation/create', page, '2026-07-28')).toEqual({
      ok: true,
      value: { params: without },
    })
    expect(carried('elicitation/create', without, '2025-11-25')).toMatchObject({
      value: { params: { elicitationId: expect.stringMatching(/^[\w-]{36}$/) as unknown } },
    })
    const forms = { elicitation: {} }
    expect(carried('elicitation/create', page, '2025-11-25', forms)).toMatchObject({
      error: { code: -32602 },
    })
    expect(carried('elicitation/create', page, '2025-06-18')).toMatchObject({ error: { code: -32602 } })
  })

  it('of a form is not for those who declared only pages', () => {
    const pages = { elicitation: { url: {} } }
    expect(carried('elicitation/create', form({}), '2025-11-25', pages)).toMatchObject({ ok: false })
  })

  it('is as 2025-06-18 has it: enumNames, and a default for booleans only', () => {
    const properties = {
      colour: { type: 'string', oneOf: [{ const: 'r', title: 'Red' }, { const: 'b' }], default: 'r' },
      sure: { type: 'boolean', default: true },
      age: { type: 'integer', default: 7, minimum: 1 },
    }
    expect(carried('elicitation/create', form(properties), '2025-11-25')).toEqual({
      ok: true,
      value: { params: form(properties) },
    })
    expect(carried('elicitation/create', form(properties), '2025-06-18')).toEqual({
      ok: true,
      value: {
        params: {
          message: 'm',
          requestedSchema: {
            type: 'object',
            properties: {
              colour: { type: 'string', enum: ['r', 'b'], enumNames: ['Red', 'b'] },
              sure: { type: 'boolean', default: true },
              age: { type: 'integer', minimum: 1 },
            },
          },
        },
      },
    })
  })

  it('of several values asks 2025-06-18 for one, and gives the server a list', () => {
    const several = {
      type: 'array',
      title: 'Colours',
      items: { type: 'string', enum: ['r', 'b'] },
      minItems: 1,
    }
    const asked = carried('elicitation/create', form({ several }), '2025-06-18')
    if (!asked.ok) throw new Error('refused')
    expect(asked.value.params).toMatchObject({
      requestedSchema: { properties: { several: { type: 'string', title: 'Colours', enum: ['r', 'b'] } } },
    })
    const answer = { kind: 'result', result: { action: 'accept', content: { several: 'b' } } } as const
    expect(answerBack(asked.value, answer)).toEqual({
      kind: 'result',
      result: { action: 'accept', content: { several: ['b'] } },
    })
    const declined = { kind: 'result', result: { action: 'decline' } } as const
    expect(answerBack(asked.value, declined)).toEqual(declined)
    const two = carried('elicitation/create', form({ several: { ...several, minItems: 2 } }), '2025-06-18')
    expect(two).toMatchObject({ ok: false, error: { code: -32602 } })
  })
})
