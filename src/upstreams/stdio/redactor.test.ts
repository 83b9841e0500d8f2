import { expect, it } from 'vitest'
import { redactor } from './redactor.ts'

const redact = redactor({
  PATH: '/usr/local/bin:/usr/bin',
  API_KEY: 'sk-0123456789abcdef',
  LONGER: 'sk-0123456789abcdef-and-more',
  PEM: '-----BEGIN KEY-----\nMIIBVwIBADANBgkqhkiG\n-----END KEY-----\n',
  LEVEL: 'info',
})

it.each([
  ['refused with sk-0123456789abcdef', 'refused with [API_KEY]'],
  ['sk-0123456789abcdef sk-0123456789abcdef', '[API_KEY] [API_KEY]'],
  ['x=sk-0123456789abcdef-and-more', 'x=[LONGER]'],
  ['  MIIBVwIBADANBgkqhkiG', '  [PEM]'],
  ['info: started in /usr/local/bin:/usr/bin', 'info: started in /usr/local/bin:/usr/bin'],
])('shows %j as %j', (line, shown) => {
  expect(redact(line)).toBe(shown)
})

it('leaves no beginning of a value where a line was cut', () => {
  expect(redact('key sk-01234', true)).toBe('key [LONGER]')
  expect(redact('key sk-01234')).toBe('key sk-01234')
  expect(redact('nothing of it', true)).toBe('nothing of it')
})

it('has nothing to do without values', () => {
  expect(redactor({ PATH: '/usr/bin:/usr/local/bin' })('/usr/bin:/usr/local/bin')).toBe(
    '/usr/bin:/usr/local/bin',
  )
})
