import { expect, it } from 'vitest'
import { isReachable, wrongEndpoint } from './endpoint-rules.ts'

const ISSUER = 'https://login.example.com/realms/company'

it.each([
  'https://login.example.com/token',
  'https://login.example.com:8443/token',
  'https://oauth.example.net/token',
  'https://10.1.2.3/token',
])('OIDC takes %s', (endpoint) => {
  expect(wrongEndpoint(endpoint, ISSUER)).toBeNull()
})

it.each([
  'http://login.example.com/token',
  'http://127.0.0.1/token',
  'https://127.0.0.1/token',
  'https://127.1/token',
  'https://2130706433/token',
  'https://0/token',
  'https://[::1]/token',
  'https://[::ffff:127.0.0.1]/token',
  'https://[::ffff:a9fe:a9fe]/token',
  'https://[fe80::1]/token',
  'https://169.254.169.254/latest/meta-data',
  'https://localhost/token',
  'https://metadata.localhost/token',
  'https://user@login.example.com/token',
  'ftp://login.example.com/token',
  'javascript:alert(1)',
  'file:///etc/passwd',
  '/token',
  '',
])('OIDC does not take %s', (endpoint) => {
  expect(wrongEndpoint(endpoint, ISSUER)).not.toBeNull()
})

it('OIDC takes this machine where the issuer itself is here, to try it out', () => {
  expect(wrongEndpoint('http://127.0.0.1:9000/token', 'http://127.0.0.1:9000/')).toBeNull()
  expect(wrongEndpoint('http://localhost:9000/token', 'http://127.0.0.1:9000/')).toBeNull()
  expect(wrongEndpoint('http://tokens.example.com/', 'http://127.0.0.1:9000/')).not.toBeNull()
  expect(wrongEndpoint('http://127.0.0.1:9000/', 'https://127.0.0.1:9000/')).not.toBeNull()
})

it('OIDC tells addresses that a name must not lead to', () => {
  for (const address of ['127.0.0.2', '0.0.0.0', '169.254.1.1', '::1', '::', 'fe80::1', '::ffff:127.0.0.1'])
    expect(isReachable(address), address).toBe(false)
  for (const address of ['192.0.2.1', '10.0.0.1', '2001:db8::1'])
    expect(isReachable(address), address).toBe(true)
})
