import { describe, expect, it } from 'vitest'
import { translateSingleDash } from './single-dash.ts'

const native = (...argv: string[]): readonly string[] => {
  const translated = translateSingleDash(argv)
  if (!translated.ok) throw new Error(translated.error)
  return translated.value
}

const refused = (...argv: string[]): string => {
  const translated = translateSingleDash(argv)
  if (translated.ok) throw new Error(`accepted as ${translated.value.join(' ')}`)
  return translated.error
}

describe('single-dash command lines (G6)', () => {
  it.each([
    [['-http'], ['serve']],
    [['--http'], ['serve']],
    [['-http=true'], ['serve']],
    [
      ['-http', '-addr', ':8080'],
      ['serve', '--addr=:8080'],
    ],
    [
      ['-http', '-addr=localhost:8080', '-no-auth'],
      ['serve', '--addr=localhost:8080', '--no-auth'],
    ],
    [
      ['-http', '-tls', '-cert', 'c.pem', '-key', 'k.pem'],
      ['serve', '--tls', '--cert=c.pem', '--key=k.pem'],
    ],
    [['-http', '-tls=false'], ['serve']],
    [
      ['-http', '-token-file', '/etc/t.yaml'],
      ['serve', '--token-file=/etc/t.yaml'],
    ],
    [
      ['-config', 'f.yaml'],
      ['serve', '--config=f.yaml'],
    ],
    [
      ['--config', 'f.yaml'],
      ['serve', '--config=f.yaml'],
    ],
    [
      ['--config=f.yaml', '--json'],
      ['serve', '--config=f.yaml', '--json'],
    ],
    [['-list-tokens'], ['token', 'list']],
    [
      ['--list-tokens', '-token-file=t.yaml', '--json'],
      ['token', 'list', '--token-file=t.yaml', '--json'],
    ],
    [
      ['--data-dir', 'd', '-list-tokens'],
      ['token', 'list', '--data-dir=d'],
    ],
    [
      ['-remove-token', 'token-1234567890'],
      ['token', 'remove', '--', 'token-1234567890'],
    ],
    [['-remove-token=b3f805a4'], ['token', 'remove', '--', 'b3f805a4']],
    [['-add-token'], ['token', 'add', '--into=configured', '--ask']],
    [
      ['-add-token', '-token-note', 'Production API', '-token-expiry', '1y'],
      ['token', 'add', '--into=configured', '--note=Production API', '--expiry=1y'],
    ],
    [
      ['-add-token', '-token-note=a=b', '-token-expiry=never', '-token-database', 'staging'],
      ['token', 'add', '--into=configured', '--note=a=b', '--expiry=never', '--database=staging'],
    ],
    [
      ['-add-token', '-token-database', '', '-token-note', '-x', '-token-expiry', '1h'],
      ['token', 'add', '--into=configured', '--note=-x', '--expiry=1h'],
    ],
  ])('%j is %j', (argv, expected) => {
    expect(native(...argv)).toEqual(expected)
  })

  it('asks for what is missing when only some details are given', () => {
    expect(native('-add-token', '-token-database', 'staging')).toContain('--ask')
    expect(native('-add-token', '-token-note', 'x')).toContain('--ask')
  })

  it.each([
    [['serve', '-addr', ':8080']],
    [['token', 'list']],
    [['--json', 'token', 'list']],
    [['--config', 'f', 'serve']],
    [['--data-dir', '-list-tokens', 'serve']],
    [['--help']],
    [['-h']],
    [['--version']],
    [['--config', 'f', '--help']],
    [['--verison']],
    [[]],
  ])('leaves the native %j alone', (argv) => {
    expect(native(...argv)).toEqual(argv)
  })

  it.each([
    [['-add-tokn'], 'unknown option -add-tokn, did you mean -add-token?'],
    [['-add-token', '-token-notes', 'x'], 'unknown option -token-notes, did you mean -token-note?'],
    [['-http', '-addr'], '-addr needs a value'],
    [['-remove-token', ''], '-remove-token needs a value'],
    [['-remove-token='], '-remove-token needs a value'],
    [['-http', '-addr', '-tls'], '-addr needs a value'],
    [['-http=maybe'], '-http is a switch: -http or -http=false'],
    [['-token-note', 'x'], '-token-note goes with -add-token'],
    [['-add-token', '-list-tokens'], '-add-token and -list-tokens do not go together: one at a time'],
    [
      ['-add-token', '-token-note', 'New', 'Client'],
      '"Client" does not belong here: a value with spaces needs quotes around it',
    ],
  ])('refuses %j and says why', (argv, message) => {
    expect(refused(...argv)).toBe(message)
  })
})
