import { describe, expect, it } from 'vitest'
import { sha256Hex } from '../../lib/digest.ts'
import { editTokenFile } from './edit.ts'
import type { FileToken } from './entry.ts'
import { parseTokenFile } from './parse.ts'

const token = (id: string, change: Partial<FileToken> = {}): FileToken => ({
  id,
  hash: sha256Hex(id),
  note: 'a "note": # yes',
  owner: '',
  level: 'read-only',
  databases: 'all',
  servers: 'all',
  scopes: 'all',
  createdAt: Date.UTC(2026, 0, 1),
  expiresAt: Date.UTC(2027, 0, 1),
  ...change,
})

const LIST = `# keep me
version: 7
tokens:
- id: token-1
  hash: ${sha256Hex('one')} # of one
  note: Production API
  x_team: {name: blue, ids: [1, 2]}
  expires_at: "2030-10-30T10:15:30Z"
- id: token-2
  hash: ${sha256Hex('two')}
  note: Other
other: [1, 2]
`

const MAP = `tokens:
    token-1:
        hash: ${sha256Hex('one')}
        annotation: Production API
        team: blue
    token-2:
        hash: ${sha256Hex('two')}
        annotation: Other
`

describe('editTokenFile', () => {
  it('G4 writes the document shape into a new file, and reads it back', () => {
    const text = editTokenFile('', { add: token('token-1') })
    expect(text).toMatch(
      /^tokens:\n\s*- id: token-1\n\s*hash: [0-9a-f]{64}\n\s*note: ".*"\n\s*created_at: "2026-01-01T00:00:00Z"\n/,
    )
    expect(parseTokenFile(text)).toEqual([token('token-1')])
  })

  it('keeps what it does not know: comments, unknown fields, other keys, order', () => {
    const text = editTokenFile(LIST, { add: token('token-3'), remove: new Set(['token-2']) })
    for (const kept of ['# keep me', 'version: 7', '# of one', 'x_team:', 'name: blue', 'other:']) {
      expect(text).toContain(kept)
    }
    expect(parseTokenFile(text).map(({ id }) => id)).toEqual(['token-1', 'token-3'])
    expect(text).not.toContain(sha256Hex('two'))
  })

  it('stays in the map shape, and calls the note what its neighbours call it', () => {
    const text = editTokenFile(MAP, { add: token('token-3'), remove: new Set(['token-1']) })
    expect(text).toMatch(/\n\s*token-3:\n\s*hash: [0-9a-f]{64}\n\s*annotation: /)
    expect(parseTokenFile(text).map(({ id }) => id)).toEqual(['token-2', 'token-3'])
  })

  it('keeps every field of a token, whole seconds given', () => {
    const full = token('token-9', {
      level: 'admin',
      owner: 'ada',
      tenant: 'blue',
      databases: ['one', 'true'],
      servers: [],
      scopes: ['null', '*', 'a b'],
      expiresAt: null,
    })
    for (const text of ['', LIST, MAP, 'tokens: []\n', 'tokens: {}\n', 'tokens:\n', '{"tokens": []}']) {
      expect(parseTokenFile(editTokenFile(text, { add: full })).at(-1)).toEqual(full)
    }
    const single = token('token-8', { databases: ['staging'] })
    expect(editTokenFile('', { add: single })).toContain('database: "staging"')
  })

  it('sets an expiry in either shape', () => {
    const at = Date.UTC(2026, 5, 1, 0, 0, 0, 250)
    for (const text of [LIST, MAP]) {
      const [first, second] = parseTokenFile(editTokenFile(text, { expire: { id: 'token-1', at } }))
      expect(first).toMatchObject({ id: 'token-1', expiresAt: at })
      expect(second).toMatchObject({ expiresAt: null })
    }
  })

  it('writes notes that stay text, whatever they hold', () => {
    for (const note of [
      'null',
      'yes',
      '1e3',
      '- x',
      '*a',
      '"',
      '\\',
      "it's",
      'ü 漢字 😀',
      '# no',
      'a: b',
      '<<',
      '',
    ]) {
      expect(parseTokenFile(editTokenFile(LIST, { add: token('token-3', { note }) })).at(-1)?.note).toBe(
        note === 'null' ? '' : note,
      )
    }
  })
})
