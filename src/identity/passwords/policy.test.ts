import { describe, expect, it } from 'vitest'
import { CommonLists } from './common.ts'
import { checkPassword } from './policy.ts'

const POLICY = { minBytes: 12, refuseCommon: true }
const common = await new CommonLists(null, () => undefined).load()
const check = (password: string, names = ['alice'], policy = POLICY): string | null =>
  checkPassword(password, names, policy, common)

describe('a new password', () => {
  it.each([
    'your-strong-password',
    'bob-strong-password',
    'correct horse battery staple',
    'пароль который не угадать',
    'x8812736451a',
    '漢字漢字ひらがな',
    'k'.repeat(5) + 'Zq!7 and more '.repeat(70),
  ])('X10 may be %s', (password) => {
    expect(check(password)).toBeNull()
  })

  it.each([
    ['short', /at least 12 bytes/],
    ['', /at least 12 bytes/],
    ['x'.repeat(1_025), /at most 1024 bytes/],
    ['ü'.repeat(513), /at most 1024 bytes/],
    ['a good one\0 with an end', /NUL/],
    ['a lonely half \ud800 of a pair', /Unicode/],
    ['q1w2e3r4t5y6', /attackers/],
    ['Q1W2E3R4T5Y6', /attackers/],
    ['Password12345', /attackers/],
    ['!!password!!!', /attackers/],
    ['passwordpassword', /attackers/],
    ['ｐａｓｓｗｏｒｄ１２３', /attackers/],
    ['aaaaaaaaaaaaaa', /attackers/],
    ['121212121212', /attackers/],
    ['123456789012', /attackers/],
    ['abcdefghijklm', /attackers/],
    ['987654321098', /attackers/],
  ])('X10 may not be %j', (password, sentence) => {
    expect(check(password)).toMatch(sentence)
  })

  it.each(['christopherine', 'Christopherine', 'christopherine2026!', 'christopherinechristopherine'])(
    'X10 may not be the user name: %s',
    (password) => {
      expect(check(password, ['christopherine'])).toBe('the password is the user name')
    },
  )

  it('may hold the user name beside other words', () => {
    expect(check('christopherine likes rain', ['christopherine'])).toBeNull()
  })

  it('follows a policy that was changed', () => {
    expect(check('q1w2e3r4t5y6', ['alice'], { minBytes: 12, refuseCommon: false })).toBeNull()
    expect(check('fish7tank', ['alice'], { minBytes: 8, refuseCommon: true })).toBeNull()
    expect(check('a rather long one', ['alice'], { minBytes: 20, refuseCommon: true })).toMatch(
      /at least 20 bytes/,
    )
  })

  it('is never in the sentence that refuses it', () => {
    for (const password of ['short-ish', 'q1w2e3r4t5y6', 'christopherine']) {
      expect(check(password, ['christopherine'])).not.toContain(password)
    }
  })
})
