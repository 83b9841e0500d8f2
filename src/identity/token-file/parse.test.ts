import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { sha256Hex } from '../../lib/digest.ts'
import { readEntries, TokenFileProblem } from './entry.ts'
import { parsePlain } from './parse-plain.ts'
import { parseTokenDocument, parseTokenFile, rawEntries } from './parse.ts'

const A = sha256Hex('a')
const B = sha256Hex('b')

const LIST = `tokens:
- id: token-1234567890
  hash: ${A}
  note: Production API
  created_at: "2024-10-30T10:15:30Z"
  expires_at: "2025-10-30T10:15:30Z"
- id: token-2
  hash: ${B}
  note: "Deve: lopment #1"
  created_at: "2024-10-15T14:20:15+02:00"
  expires_at: null
  database: staging
`

const MAP = `tokens:
    token-1234567890:
        hash: ${A}
        expires_at: 2025-10-30T10:15:30Z
        annotation: Production API
        created_at: 2024-10-30T10:15:30.123456789+01:00
    token-2:
        hash: ${B}
        expires_at: null
        annotation: Development
        created_at: 0001-01-01T00:00:00Z
`

describe('parseTokenFile', () => {
  it('G4 reads the list shape', () => {
    expect(parseTokenFile(LIST)).toEqual([
      expect.objectContaining({
        id: 'token-1234567890',
        hash: A,
        note: 'Production API',
        level: 'read-only',
        databases: 'all',
        createdAt: Date.UTC(2024, 9, 30, 10, 15, 30),
        expiresAt: Date.UTC(2025, 9, 30, 10, 15, 30),
      }),
      expect.objectContaining({
        id: 'token-2',
        note: 'Deve: lopment #1',
        databases: ['staging'],
        createdAt: Date.UTC(2024, 9, 15, 12, 20, 15),
        expiresAt: null,
      }),
    ])
  })

  it('G4 reads the map shape', () => {
    expect(parseTokenFile(MAP)).toEqual([
      expect.objectContaining({
        id: 'token-1234567890',
        hash: A,
        note: 'Production API',
        createdAt: Date.UTC(2024, 9, 30, 9, 15, 30, 123),
        expiresAt: Date.UTC(2025, 9, 30, 10, 15, 30),
      }),
      expect.objectContaining({ id: 'token-2', note: 'Development', createdAt: null, expiresAt: null }),
    ])
  })

  it('reads the same indented as in the document, as JSON, with comments and with unknown fields', () => {
    const entry = { id: 't1', hash: A, note: 'n', created_at: null, expires_at: null, extra: { deep: [1] } }
    const indented = LIST.replaceAll('\n- ', '\n  - ').replaceAll(/\n {2}(?=[a-z])/g, '\n    ')
    expect(parseTokenFile(indented)).toEqual(parseTokenFile(LIST))
    expect(parseTokenFile(JSON.stringify({ tokens: [entry] }))).toEqual([
      expect.objectContaining({ id: 't1', hash: A, note: 'n' }),
    ])
    expect(parseTokenFile(`# top\nversion: 3\n${LIST}# end\n`)).toEqual(parseTokenFile(LIST))
    expect(parseTokenFile(LIST.replaceAll('\n', '\r\n'))).toEqual(parseTokenFile(LIST))
  })

  it('reads our own fields', () => {
    const text = `tokens:\n- id: x\n  hash: ${A.toUpperCase()}\n  level: admin\n  owner: ada\n  tenant: blue\n  databases: [one, two]\n  servers: [s]\n  scopes: []\n`
    expect(parseTokenFile(text)).toEqual([
      expect.objectContaining({
        hash: A,
        level: 'admin',
        owner: 'ada',
        tenant: 'blue',
        databases: ['one', 'two'],
        servers: ['s'],
        scopes: [],
      }),
    ])
  })

  it.each(['', 'tokens:\n', 'tokens: []\n', 'tokens: {}\n', 'tokens: null\n', '# nothing\n'])(
    'reads %j as no tokens',
    (text) => {
      expect(parseTokenFile(text)).toEqual([])
    },
  )

  it.each([
    ['no key tokens', 'token:\n- id: x\n'],
    ['a list at the top', `- id: x\n  hash: ${A}\n`],
    ['text', 'hello\n'],
    ['an entry that is text', 'tokens:\n- hello\n'],
    ['no hash', 'tokens:\n- id: x\n'],
    ['half a hash', `tokens:\n- id: x\n  hash: ${A.slice(0, 40)}\n`],
    ['no id', `tokens:\n- hash: ${A}\n`],
    ['half a date', `tokens:\n- id: x\n  hash: ${A}\n  expires_at: 2025-10-30\n`],
    ['a date without an offset', `tokens:\n- id: x\n  hash: ${A}\n  expires_at: 2025-10-30T10:15:30\n`],
    ['a date that does not exist', `tokens:\n- id: x\n  hash: ${A}\n  expires_at: 2025-13-30T10:15:30Z\n`],
    ['a level that does not exist', `tokens:\n- id: x\n  hash: ${A}\n  level: root\n`],
    ['two equal ids', `tokens:\n- id: x\n  hash: ${A}\n- id: x\n  hash: ${B}\n`],
    ['two equal hashes', `tokens:\n- id: x\n  hash: ${A}\n- id: y\n  hash: ${A}\n`],
    ['two equal keys', `tokens:\n- id: x\n  hash: ${A}\n  hash: ${B}\n`],
    ['two lists', `tokens:\n- id: x\n  hash: ${A}\ntokens:\n- id: y\n  hash: ${B}\n`],
    ['an id of the store', `tokens:\n- id: tok_1\n  hash: ${A}\n`],
    ['an id of the configuration', `tokens:\n- id: config:x\n  hash: ${A}\n`],
    ['an id with a line break', `tokens:\n- id: "x\\ny"\n  hash: ${A}\n`],
    ['a note with an escape', `tokens:\n- id: x\n  hash: ${A}\n  note: "\\e[2J"\n`],
    ['a note with NUL', `tokens:\n- id: x\n  hash: ${A}\n  note: "a\\0b"\n`],
    ['both database and databases', `tokens:\n- id: x\n  hash: ${A}\n  database: a\n  databases: [b]\n`],
    ['an open quote', `tokens:\n- id: x\n  hash: "${A}\n`],
    ['NUL', 'tokens:\0\n'],
  ])('refuses %s', (_what, text) => {
    expect(() => parseTokenFile(text)).toThrow(TokenFileProblem)
  })

  it('quotes nothing of the content in its problems, which could be a token put in the wrong place', () => {
    const secret = 'pst_VerySecretValue123'
    for (const text of [
      `tokens:\n- id: x\n  hash: ${secret}\n`,
      `tokens:\n- id: x\n  hash: "${secret}\n`,
      `tokens:\n- id: x\n  hash: ${A}\n  expires_at: ${secret}\n`,
      `tokens: ${secret}\n`,
      `${secret}: [\n`,
      `tokens:\n- ${secret}: 1\n  ${secret}: 2\n`,
    ]) {
      expect(() => parseTokenFile(text)).toThrow(TokenFileProblem)
      expect(() => parseTokenFile(text)).not.toThrow(secret)
    }
  })

  it.each([
    ['billion laughs', `a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\ntokens: *c\n`],
    ['one alias', `a: &a x\ntokens:\n- id: *a\n  hash: ${A}\n`],
    ['a merge key', `a: &a {hash: ${A}}\ntokens:\n- id: x\n  <<: *a\n`],
    ['nested brackets', '['.repeat(200_000)],
    ['nested brackets with text between', '[a,'.repeat(40_000)],
    ['nested braces', '{a: '.repeat(40_000)],
    ['nested dashes', '- '.repeat(60_000)],
    ['deep indentation', Array.from({ length: 700 }, (_, i) => `${' '.repeat(i)}a:`).join('\n')],
    ['25,000 keys', Array.from({ length: 25_000 }, (_, i) => `k${i}: v`).join('\n')],
    ['a long file in another form', `tokens: [${`{id: x, hash: ${A}},`.repeat(10_000)}]\n`],
  ])('refuses %s quickly', { timeout: 20_000 }, (_what, text) => {
    const startedAt = performance.now()
    expect(() => parseTokenFile(text)).toThrow(TokenFileProblem)
    expect(performance.now() - startedAt).toBeLessThan(8_000)
  })

  it('reads 10,000 entries of either shape without the slow parser', () => {
    const hashes = Array.from({ length: 10_000 }, (_, i) => sha256Hex(String(i)))
    const list = hashes.map(
      (hash, i) => `- id: token-${i}\n  hash: ${hash}\n  note: "N ${i}"\n  expires_at: null\n`,
    )
    const map = hashes.map((hash, i) => `    token-${i}:\n        hash: ${hash}\n        expires_at: null\n`)
    for (const text of [`tokens:\n${list.join('')}`, `tokens:\n${map.join('')}`]) {
      expect(parsePlain(text)).toHaveLength(10_000)
      expect(parseTokenFile(text).map(({ hash }) => hash)).toEqual(hashes)
    }
  })

  it('never reads a prefix of a file as something the file does not say', () => {
    for (const text of [LIST, MAP]) {
      const whole = parseTokenFile(text)
      for (let length = 0; length < text.length; length += 1) {
        let part
        try {
          part = parseTokenFile(text.slice(0, length))
        } catch (error) {
          expect(error).toBeInstanceOf(TokenFileProblem)
          continue
        }
        // Fewer tokens, or the last one with fields missing: never another id, hash or expiry date.
        for (const token of part) {
          const original = whole.find(({ hash }) => hash === token.hash)
          expect(original).toBeDefined()
          expect([null, original?.expiresAt]).toContain(token.expiresAt)
        }
      }
    }
  })
})

describe('parsePlain', () => {
  const scalar = fc.oneof(
    { weight: 8, arbitrary: fc.stringMatching(/^[a-z0][a-z0 :.,()/@=_-]{0,8}[a-z0]$/) },
    { weight: 3, arbitrary: fc.stringMatching(/^"[ !#-[\]-~]{0,8}"$/) },
    { weight: 3, arbitrary: fc.stringMatching(/^'[ -&(-~]{0,8}'$/) },
    fc.string({ unit: 'grapheme-ascii', maxLength: 12 }),
    fc.string({ unit: fc.constantFrom(...Array.from('ab0 :#"\'\\-?,[]{}&*!|>%@`~=')), maxLength: 8 }),
    fc.constantFrom(
      'null',
      '~',
      '2024-10-30T10:15:30Z',
      '"quoted: yes"',
      "'single'",
      '|',
      '>-',
      '&a x',
      '*a',
      '!!str x',
      'a #b',
      'a: b',
      '"a\\nb"',
      '- x',
      'token-1',
      'x  y',
      '<<',
    ),
  )
  const key = fc.constantFrom('id', 'hash', 'note', 'expires_at', 'x-y', '"q"', 'tokens', '<<')
  const lines = fc.array(
    fc.record({
      indent: fc.constantFrom('', '  ', '    ', '   ', '      '),
      dash: fc.constantFrom('', '- ', '-  '),
      key,
      separator: fc.constantFrom(': ', ':', ' : ', ':  '),
      value: scalar,
    }),
    { minLength: 1, maxLength: 8 },
  )

  it('reads nothing that the YAML parser reads otherwise', { timeout: 60_000 }, () => {
    let plainOnes = 0
    const compare = (text: string): void => {
      const plain = parsePlain(text)
      if (!plain) return
      plainOnes += 1
      expect(plain).toEqual(rawEntries(parseTokenDocument(text)))
    }
    fc.assert(
      fc.property(lines, (generated) => {
        const body = generated.map((line) => line.indent + line.dash + line.key + line.separator + line.value)
        compare(`tokens:\n${body.join('\n')}\n`)
      }),
      { numRuns: 3_000 },
    )
    // Close to the plain form, so that most of them are read by both.
    fc.assert(
      fc.property(
        fc.array(fc.tuple(scalar, scalar), { minLength: 1, maxLength: 4 }),
        fc.boolean(),
        (pairs, map) => {
          const body = pairs.map(([one, two], i) =>
            map ? `  k${i}:\n    note: ${one}\n    hash: ${two}\n` : `- id: ${one}\n  note: ${two}\n`,
          )
          compare(`tokens:\n${body.join('')}`)
        },
      ),
      { numRuns: 3_000 },
    )
    expect(plainOnes).toBeGreaterThan(300)
  })

  it('reads what this project writes and what the document shows', () => {
    expect(parsePlain(MAP)).toHaveLength(2)
    expect(readEntries(parsePlain(LIST) ?? [])).toEqual(readEntries(rawEntries(parseTokenDocument(LIST))))
  })
})
