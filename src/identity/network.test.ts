import { expect, it } from 'vitest'
import { network } from './network.ts'

it('takes an IPv6 /64 for one address', () => {
  expect(network('2001:db8:1:2:3:4:5:6')).toBe('2001:db8:1:2::/64')
  expect(network('2001:db8:1:2::9')).toBe('2001:db8:1:2::/64')
  expect(network('2001:0DB8:0001:0002::')).toBe('2001:db8:1:2::/64')
  expect(network('::1')).toBe('0:0:0:0::/64')
  expect(network('fe80::1%eth0')).toBe('fe80:0:0:0::/64')
  expect(network('::ffff:192.0.2.1')).toBe('192.0.2.1')
  expect(network('192.0.2.1')).toBe('192.0.2.1')
})
