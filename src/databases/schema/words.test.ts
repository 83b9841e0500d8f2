import { assert, property, stringMatching } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { questionWords, stem, words } from './words.ts'

describe('words of identifiers', () => {
  test.each([
    ['order_lines', ['order', 'lines']],
    ['orderLines', ['order', 'lines']],
    ['HTTPStatusCode', ['http', 'status', 'code']],
    ['sales2024', ['sales', '2024']],
    ['Größe der Bestellung', ['große', 'der', 'bestellung']],
    ['', []],
  ])('%s is %j', (text, expected) => {
    expect(words(text)).toEqual(expected)
  })

  test('take time in proportion to the text', () => {
    const startedAt = performance.now()
    words('aA1'.repeat(200_000))
    expect(performance.now() - startedAt).toBeLessThan(10_000)
  })
})

describe('stems', () => {
  test.each([
    ['customer', 'customers'],
    ['delivery', 'deliveries'],
    ['box', 'boxes'],
    ['address', 'addresses'],
    ['status', 'statuses'],
    ['case', 'cases'],
    ['house', 'houses'],
    ['ship', 'shipping'],
    ['ship', 'shipped'],
    ['machine', 'machines'],
    ['invoice', 'invoices'],
  ])('%s and %s are one', (a, b) => {
    expect(stem(a)).toBe(stem(b))
  })

  test.each([
    ['order', 'older'],
    ['user', 'use'],
    ['bus', 'bug'],
  ])('%s and %s are two', (a, b) => {
    expect(stem(a)).not.toBe(stem(b))
  })

  test('are never empty and never longer than the word', () => {
    assert(
      property(stringMatching(/^[a-z]{1,20}$/), (word) => {
        expect(stem(word).length).toBeGreaterThan(0)
        expect(stem(word).length).toBeLessThanOrEqual(word.length)
      }),
    )
  })
})

describe('words of a question', () => {
  test('are the telling ones', () => {
    expect(questionWords('Show me all active users')).toEqual(['active', 'users'])
    expect(questionWords('what is it')).toEqual(['what', 'is', 'it'])
  })
})
