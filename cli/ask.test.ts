import { setImmediate } from 'node:timers/promises'
import { PassThrough, Readable } from 'node:stream'
import { describe, expect, it } from 'vitest'
import { err, ok } from '../src/lib/result.ts'
import { testInvocation } from '../test/support/invocation.ts'
import { createAsker, type Question } from './ask.ts'

const any: Question<string> = { text: 'Any', read: ok }
const number: Question<number> = {
  text: 'Number',
  standard: '5',
  read: (line) => (line === '' ? ok(5) : /^\d+$/.test(line) ? ok(Number(line)) : err('that is not a number')),
}

describe('createAsker on a pipe', () => {
  it('reads one line for each question, however the lines arrive', async () => {
    const { invocation, stdout, stderr } = testInvocation({ input: ' first \n\nlast' })
    const asker = createAsker(invocation)
    expect(await asker.ask(any)).toEqual(ok('first'))
    expect(await asker.ask(number)).toEqual(ok(5))
    expect(await asker.ask(any)).toEqual(ok('last'))
    asker.close()
    await setImmediate()
    expect(stderr()).toBe('Any: \nNumber [5]: \nAny: \n')
    expect(stdout()).toBe('')
  })

  it('waits for an answer that comes later', async () => {
    const input = new PassThrough()
    const { invocation } = testInvocation({ input })
    const asker = createAsker(invocation)
    const answer = asker.ask(any)
    await setImmediate()
    input.write('late\n')
    expect(await answer).toEqual(ok('late'))
    asker.close()
  })

  it('says so when the input ends before the answer', async () => {
    const { invocation } = testInvocation({ input: 'one\n' })
    const asker = createAsker(invocation)
    await asker.ask(any)
    const ended = await asker.ask(any)
    expect(ended).toMatchObject({ ok: false, error: { code: 'input_ended' } })
    asker.close()
  })

  it('does not take the next line for an answer that was no good', async () => {
    const { invocation } = testInvocation({ input: 'x\n7\n' })
    const asker = createAsker(invocation)
    expect(await asker.ask(number)).toEqual(
      err({ code: 'invalid_answer', message: 'Number: that is not a number' }),
    )
    asker.close()
  })

  it('stops reading an endless line', async () => {
    const endless = new Readable({
      read() {
        this.push(Buffer.alloc(16_384, 120))
      },
    })
    const { invocation } = testInvocation({ input: endless })
    const asker = createAsker(invocation)
    expect(await asker.ask(any)).toMatchObject({ ok: false, error: { code: 'invalid_answer' } })
    asker.close()
    endless.destroy()
  })

  it('bounds an answer', async () => {
    const { invocation } = testInvocation({ input: `${'x'.repeat(2000)}\n` })
    const asker = createAsker(invocation)
    expect(await asker.ask(any)).toMatchObject({ ok: false, error: { code: 'invalid_answer' } })
    asker.close()
  })
})
