import { readFileSync } from 'node:fs'
import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, it } from 'vitest'
import { parse } from 'yaml'
import { jsonSchema } from './json-schema.ts'
import { keys } from './keys.ts'
import { PROBLEM_CODES } from './problem.ts'
import { published } from './published.ts'
import { rowsOf } from './rows.ts'
import { startingFile } from './starting-file.ts'

const guide = readFileSync(new URL('../../docs/configuration.md', import.meta.url), 'utf8')

describe('what is made from the table of keys', () => {
  it.each(published().map((one) => [one.file.pathname.split('/').at(-1), one] as const))(
    '%s is fresh: run "node src/config/write-published.ts" after a change',
    (_, { file, text }) => {
      expect(readFileSync(file, 'utf8')).toBe(text)
    },
  )
})

describe('docs/configuration.md', () => {
  it('has every key and every variable, and no other', () => {
    const rows = rowsOf(keys)
    const section = guide.slice(guide.indexOf('## Every key'))
    const documented = [...section.matchAll(/^\| `([^`]+)` \|/gm)].map((match) => match[1])
    const tables = new Set(rows.map((row) => row.path.split(/[.[]/, 1)[0]))
    const headings = rows.filter((row) => tables.has(row.path) && row.type === null).map((row) => row.path)
    expect(new Set([...documented, ...headings])).toEqual(new Set(rows.map((row) => row.path)))
    expect(documented.length).toBe(new Set(documented).size)
    for (const { variable } of rows) if (variable !== null) expect(section).toContain(`\`${variable}\``)
    for (const heading of headings) expect(section).toContain(`### ${heading}\n`)
  })

  it('has every problem code, and no other', () => {
    const documented = [...guide.matchAll(/^\| `(config_[a-z_]+)` \|/gm)].map((match) => match[1])
    expect(documented).toEqual([...PROBLEM_CODES])
  })
})

describe('postern.schema.json', () => {
  const validate = new Ajv2020({
    strict: true,
    strictTypes: false,
    allErrors: true,
    validateFormats: false,
  }).compile(jsonSchema())

  it('accepts the starting file, and all of its examples', () => {
    expect(validate(parse(startingFile()))).toBe(true)
    const switchedOn = startingFile().replaceAll(/^(\s*)#(?! \S)/gm, '$1')
    const valid = validate(parse(switchedOn))
    expect(validate.errors ?? []).toEqual([])
    expect(valid).toBe(true)
  })

  it.each([
    'server: {addr: ":8080", tls: {cert: a, key: $env:KEY}}',
    'auth: {tokens: {a: $env:T, b: {value: {$env: T}, level: admin, databases: all}}}',
    'mcpServers: {a: {command: x, args: [$env:A], env: {B: {$env: C}}}, b: {url: "http://h", tools: {"x/y": {level: admin}}}}',
    'limits: {rows: $env:ROWS, bodyBytes: 8MiB, drain: 0}\nserver:\n',
    '"$schema": ./postern.schema.json',
  ])('accepts %s', (text) => {
    expect(validate(parse(text))).toBe(true)
  })

  it.each([
    'sever: {}',
    'server: {adr: x}',
    'server: {tls: {cert: a}}',
    'log: {level: loud}',
    'limits: {rows: 0}',
    'databases: [{user: u}]',
    'auth: {tokens: {"": x}}',
    'mcpServers: {"a b": {command: x}}',
    'mcpServers: {a: {comand: x}}',
    'aggregate: {listTimeout: soon}',
  ])('refuses %s', (text) => {
    expect(validate(parse(text))).toBe(false)
  })
})
