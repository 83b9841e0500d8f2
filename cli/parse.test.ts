import { describe, expect, it } from 'vitest'
import type { ArgumentSpec, Given, OptionSpec } from './command.ts'
import { type Misuse, parse } from './parse.ts'

const OPTIONS: readonly OptionSpec[] = [
  { name: 'note', value: 'TEXT', summary: 'what it is for' },
  { name: 'level', value: 'LEVEL', summary: 'what it allows', choices: ['read-only', 'admin'] },
  { name: 'database', value: 'NAME', summary: 'a database', many: true },
  { name: 'demo', summary: 'a switch' },
]
const ARGUMENTS: readonly ArgumentSpec[] = [
  { name: 'ID', summary: 'the id' },
  { name: 'MORE', summary: 'more', optional: true },
]

const good = (...words: string[]): Given => {
  const parsed = parse(words, { options: OPTIONS, arguments: ARGUMENTS })
  if (!parsed.ok) throw new Error(parsed.error.message)
  return parsed.value
}
const bad = (...words: string[]): Misuse => {
  const parsed = parse(words, { options: OPTIONS, arguments: ARGUMENTS })
  if (parsed.ok) throw new Error('accepted')
  return parsed.error
}

describe('parse', () => {
  it('reads values after a space and after an equals sign, in any order', () => {
    const given = good('--note=a=b c', 'x', '--level', 'admin', '--demo')
    expect(given.text('note')).toBe('a=b c')
    expect(given.text('level')).toBe('admin')
    expect(given.flag('demo')).toBe(true)
    expect(given.argument('ID')).toBe('x')
    expect(given.argument('MORE')).toBeUndefined()
  })

  it('collects what may be repeated, and splits it at commas', () => {
    expect(good('x', '--database', 'a, b', '--database=c').list('database')).toEqual(['a', 'b', 'c'])
    expect(good('x').list('database')).toBeUndefined()
  })

  it('takes words after -- and words with spaces as they are', () => {
    expect(good('--', '--demo').argument('ID')).toBe('--demo')
    expect(good('-- a comment\nSELECT 1').argument('ID')).toBe('-- a comment\nSELECT 1')
    expect(good('-1 = x').argument('ID')).toBe('-1 = x')
  })

  it('takes a value that begins with one dash', () => {
    expect(good('x', '--note', '-5').text('note')).toBe('-5')
  })

  it('says whether any of several options was given', () => {
    expect(good('x', '--demo').any('note', 'demo')).toBe(true)
    expect(good('x').any('note', 'demo')).toBe(false)
  })

  it.each([
    [['x', '--levl', 'admin'], 'unknown_option', 'unknown option --levl, did you mean --level?'],
    [['x', '-demo'], 'unknown_option', 'unknown option -demo, did you mean --demo?'],
    [['x', '--zzz=secret'], 'unknown_option', 'unknown option --zzz'],
    [['x', '--note'], 'missing_value', '--note needs a value: --note TEXT'],
    [['x', '--note', '--demo'], 'missing_value', '--note needs a value: --note TEXT'],
    [['x', '--note='], 'missing_value', '--note was given an empty value'],
    [['x', '--demo=yes'], 'invalid_value', '--demo is a switch and takes no value'],
    [
      ['x', '--level', 'admn'],
      'invalid_value',
      '--level is one of read-only, admin, not "admn"; did you mean admin?',
    ],
    [['x', '--note', 'a', '--note', 'b'], 'repeated_option', '--note was given twice'],
    [[], 'wrong_arguments', 'ID is missing: the id'],
    [['x', 'y', 'z'], 'wrong_arguments', '"z" is one word too many; put quotes around a value with spaces'],
  ])('refuses %j as %s', (words, code, message) => {
    expect(bad(...words)).toEqual({ code, message })
  })

  it('does not answer for options that the command does not have', () => {
    expect(() => good('x').text('nothing')).toThrow('no option --nothing here')
    expect(() => good('x').argument('nothing')).toThrow('no argument nothing here')
  })
})
