import { setImmediate } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { testInvocation } from '../test/support/invocation.ts'
import { askForDetails, type TokenDetails } from './token-questions.ts'

const DAY = 86_400_000

async function ask(input: string, known: TokenDetails = {}, databases = ['production', 'staging', '2']) {
  const { invocation, stderr } = testInvocation({ input })
  const details = await askForDetails(invocation, known, { databases, standardDays: 90 })
  await setImmediate()
  return { details, stderr: stderr() }
}

describe('G6 the questions of token add', () => {
  it('asks for note, database and expiry, in this order, and shows the databases', async () => {
    const { details, stderr } = await ask('CI\nstaging\n30d\n')
    expect(details).toEqual({
      ok: true,
      value: { note: 'CI', databases: ['staging'], expiresInMs: 30 * DAY },
    })
    expect(stderr).toBe(
      [
        'Note, what the token is for: ',
        'Databases',
        '  1  production',
        '  2  staging',
        '  3  2',
        'Database, by number or name [production]: ',
        'Expiry (12h, 30d, 2w, 1y or never) [90d]: ',
        '',
      ].join('\n'),
    )
  })

  it('takes blank for the first database and for the default expiry', async () => {
    expect((await ask('CI\n\n\n')).details).toEqual({
      ok: true,
      value: { note: 'CI', databases: ['production'] },
    })
  })

  it.each([
    ['1', ['production']],
    ['2', ['2']],
    ['1, staging, 1', ['production', 'staging']],
  ])('picks the database %s', async (answer, databases) => {
    expect((await ask(`CI\n${answer}\nnever\n`)).details).toEqual({
      ok: true,
      value: { note: 'CI', databases, expiresInMs: null },
    })
  })

  it.each(['0', '4', '-1', '1.5', '1e0', 'nothing', ' , '])('takes no database called %j', async (answer) => {
    expect((await ask(`CI\n${answer}\n30d\n`)).details).toMatchObject({
      ok: false,
      error: { code: 'invalid_answer', message: expect.stringContaining('is not on the list') as string },
    })
  })

  it('suggests the database that was meant, and days for months', async () => {
    expect((await ask('CI\nstagign\n')).details).toMatchObject({
      error: { message: expect.stringContaining('did you mean staging?') as string },
    })
    expect((await ask('CI\n\n6m\n')).details).toMatchObject({
      error: { message: expect.stringContaining('180d') as string },
    })
  })

  it('asks only for what is not known', async () => {
    const known = { note: 'CI', databases: ['staging'], expiresInMs: null }
    expect(await ask('', known)).toEqual({ details: { ok: true, value: known }, stderr: '' })
  })

  it('does not ask for a database where there is no choice', async () => {
    expect((await ask('CI\n1h\n', {}, ['only'])).details).toEqual({
      ok: true,
      value: { note: 'CI', expiresInMs: 3_600_000 },
    })
  })

  it('issues nothing when the input ends early', async () => {
    expect((await ask('CI\n')).details).toMatchObject({ ok: false, error: { code: 'input_ended' } })
    expect((await ask('')).details).toMatchObject({ ok: false, error: { code: 'input_ended' } })
  })
})
