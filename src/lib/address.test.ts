import { describe, expect, it } from 'vitest'
import { formatAddress, isLoopbackHost, parseAddress } from './address.ts'

describe('parseAddress', () => {
  it.each([
    ['127.0.0.1:8080', '127.0.0.1', 8080],
    [':8080', '', 8080],
    ['*:8080', '', 8080],
    ['localhost:0', 'localhost', 0],
    ['[::1]:443', '::1', 443],
    ['gateway.example.com:65535', 'gateway.example.com', 65535],
  ])('reads %s', (text, host, port) => {
    expect(parseAddress(text)).toEqual({ ok: true, value: { host, port } })
  })

  it.each([
    '',
    '8080',
    'localhost',
    ':',
    ':99999',
    '::1:80',
    '[abc]:80',
    '300.1.1.1:80',
    'a b:80',
    '-a:80',
    'x:80/y',
  ])('refuses %s', (text) => {
    expect(parseAddress(text).ok).toBe(false)
  })

  it('writes what it reads', () => {
    for (const text of ['127.0.0.1:8080', ':8080', '[::1]:443']) {
      const address = parseAddress(text)
      expect(address.ok && formatAddress(address.value)).toBe(text)
    }
  })
})

describe('isLoopbackHost', () => {
  it.each(['localhost', 'LOCALHOST', '127.0.0.1', '127.9.9.9', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1'])(
    '%s is loopback',
    (host) => {
      expect(isLoopbackHost(host)).toBe(true)
    },
  )

  it.each([
    '',
    '0.0.0.0',
    '::',
    '10.0.0.1',
    '::ffff:10.0.0.1',
    'localhost.evil.example',
    '127.0.0.1.example',
    '1270.0.1',
  ])('%s is not loopback', (host) => {
    expect(isLoopbackHost(host)).toBe(false)
  })
})
