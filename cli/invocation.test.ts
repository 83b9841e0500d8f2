import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { refusal } from '../src/access/refusal.ts'
import { testInvocation } from '../test/support/invocation.ts'

describe('the answers of an invocation', () => {
  it('is one JSON document, and what comes after it is for people', async () => {
    const { invocation, stdout, stderr } = testInvocation({ json: true })
    invocation.answer({ url: 'x' }, 'ready')
    expect(invocation.fail({ code: 'internal', message: 'later' })).toBe(1)
    await setImmediate()
    expect(JSON.parse(stdout())).toEqual({ url: 'x' })
    expect(stderr()).toContain('postern: later.')
  })

  it('never answers twice', () => {
    const { invocation } = testInvocation({ json: true })
    invocation.answer(1, '')
    expect(() => invocation.answer(2, '')).toThrow('a second JSON document')
  })

  it('shows of a refusal what would be allowed, and the candidates', async () => {
    const { invocation, stderr, stdout } = testInvocation()
    const reason = refusal('conflict', 'token.prefix', 'two tokens fit', {
      allowed: 'more digits',
      candidates: ['tok_1', 'tok_2'],
    })
    expect(invocation.refuse(reason)).toBe(1)
    await setImmediate()
    expect(stdout()).toBe('')
    expect(stderr()).toBe(
      'postern: two tokens fit.\n  Allowed: more digits\n  Candidates:\n    tok_1\n    tok_2\n  (conflict, rule token.prefix)\n',
    )
  })

  it('leads from wrong usage to the help of the command that was meant', async () => {
    const { invocation, stderr } = testInvocation()
    expect(invocation.misuse('no such word')).toBe(2)
    expect(invocation.of('user add').misuse('--username NAME is needed')).toBe(2)
    await setImmediate()
    expect(stderr()).toBe(
      'postern: no such word.\n  postern --help shows the commands and their options.\n' +
        'postern: --username NAME is needed.\n  postern user add --help shows what it takes.\n',
    )
  })

  it('lets no message steer the terminal', async () => {
    const { invocation, stderr } = testInvocation()
    invocation.misuse('unknown option --\u001B[2J\u0007x')
    await setImmediate()
    expect(stderr().replaceAll('\n', '')).not.toMatch(/\p{Cc}/u)
  })
})
