import { describe, expect, it } from 'vitest'
import { checkHost } from './check-host.ts'
import { checkOrigin } from './check-origin.ts'

const rules = {
  baseUrl: 'https://gate.example.org',
  allowedHosts: ['inner.example.org', 'ported.example.org:8443'],
  allowedOrigins: ['https://app.example.org', 'http://localhost:6274'],
}

describe('checkHost', () => {
  it.each([
    'localhost',
    'localhost:8080',
    'LOCALHOST:1',
    'sub.localhost:1',
    'localhost.',
    '127.0.0.1:8080',
    '127.9.9.9',
    '[::1]:8080',
    '10.0.0.5:8080',
    'gate.example.org',
    'Gate.Example.Org:443',
    'inner.example.org:9',
    'ported.example.org:8443',
  ])('answers to %s', (host) => {
    expect(checkHost(host, '::ffff:10.0.0.5', rules)).toBeNull()
  })

  it.each([
    'evil.example.com',
    'localhost.evil.example.com',
    '127.0.0.1.evil.example.com',
    '127.evil.example.com',
    'ported.example.org',
    'ported.example.org:1',
    '10.0.0.6',
    '2130706433',
    '0177.0.0.1',
    '[::2]',
    '0.0.0.0',
    'gate.example.org.evil.example',
  ])('does not answer to %s', (host) => {
    expect(checkHost(host, '10.0.0.5', rules)?.code).toBe('host_not_allowed')
  })

  it.each([
    undefined,
    '',
    'a b',
    'user@localhost',
    'localhost:',
    'localhost:x',
    'localhost/x',
    '[::1',
    '::1',
    'localhost, evil',
    '..',
  ])('takes %j for malformed', (host) => {
    expect(checkHost(host, '127.0.0.1', rules)?.code).toBe('invalid_request')
  })
})

describe('checkOrigin', () => {
  const judge = (origin: string | undefined, localAddress = '10.0.0.5') =>
    checkOrigin(origin, 'inner.example.org:9', localAddress, false, rules)

  it('lets a request without Origin pass', () => {
    expect(judge(undefined)).toEqual({ allowed: true, cors: false })
  })

  it.each(['https://gate.example.org', 'http://inner.example.org:9'])('takes %s for its own', (origin) => {
    expect(judge(origin)).toEqual({ allowed: true, cors: false })
  })

  it.each(['https://app.example.org', 'http://localhost:6274'])('opens to the configured %s', (origin) => {
    expect(judge(origin)).toEqual({ allowed: true, cors: true })
  })

  it.each(['http://localhost:3000', 'http://127.0.0.1', 'http://[::1]:5'])(
    'lets %s pass on a loopback connection only',
    (origin) => {
      expect(judge(origin, '::ffff:127.0.0.1')).toEqual({ allowed: true, cors: false })
      expect(judge(origin)).toMatchObject({ allowed: false })
    },
  )

  it.each([
    'null',
    '',
    'http://evil.example.com',
    'http://localhost.evil.example.com',
    'http://gate.example.org',
    'https://gate.example.org:444',
    'https://gate.example.org/',
    'https://gate.example.org@evil.example.com',
    'file://',
    'chrome-extension://abc',
    'https://app.example.org, https://evil.example.com',
    'https://app.example.org\\@evil.example.com',
  ])('refuses %j', (origin) => {
    const verdict = judge(origin, '127.0.0.1')
    expect(verdict).toMatchObject({ allowed: false, refusal: { code: 'origin_not_allowed' } })
  })
})
