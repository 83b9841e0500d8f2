import { describe, expect, it } from 'vitest'
import { entryText } from './entry-text.ts'

const event = { kind: 'decision', outcome: 'refuse', at: 1 } as const

describe('entryText', () => {
  it('replaces what PostgreSQL cannot take out of JSON, and nothing else', () => {
    expect(JSON.parse(entryText({ ...event, action: 'a\0b', target: '\uD83D', rule: '\uDE00x' }))).toEqual({
      ...event,
      action: 'a\uFFFDb',
      target: '\uFFFD',
      rule: '\uFFFDx',
    })
    const odd = { ...event, action: 'tab\t \u0001 \\u0000 \u{1F600} "', target: 'Zürich' }
    expect(JSON.parse(entryText(odd))).toEqual(odd)
  })
})
