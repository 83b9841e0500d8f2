import { describe, expect, it } from 'vitest'
import { readRequestTarget } from './request-target.ts'

describe('readRequestTarget', () => {
  it.each([
    ['/mcp', '/mcp'],
    ['/mcp/', '/mcp'],
    ['/', '/'],
    ['/mcp?x=/../', '/mcp'],
    ['/api/v1/admin/tokens/tok_1%20a', '/api/v1/admin/tokens/tok_1%20a'],
  ])('%s is the path %s', (target, path) => {
    expect(readRequestTarget(target).path).toBe(path)
  })

  it.each([
    '//mcp',
    '//',
    '/mcp//',
    '/mcp/..',
    '/mcp/../health',
    '/./mcp',
    '/health/.',
    '/%2e%2e/health',
    '/%2E/mcp',
    '/health%2fx',
    '/health%5cx',
    '/health%00',
    '/health%0d%0a',
    '/health%',
    '/health%zz',
    '/a\\b',
    '*',
    '',
    'health',
    '/heal th',
    '/häalth',
    '/health#x',
  ])('%j is no plain path', (target) => {
    expect(readRequestTarget(target).path).toBeNull()
  })

  it('keeps the case, because paths are case-sensitive', () => {
    expect(readRequestTarget('/HEALTH').path).toBe('/HEALTH')
  })

  it('reads an absolute-form target with its authority', () => {
    expect(readRequestTarget('http://evil.example/health?a=1')).toEqual({
      path: '/health',
      query: 'a=1',
      authority: 'evil.example',
    })
    expect(readRequestTarget('HTTPS://h:1').path).toBe('/')
  })

  it('answers in linear time for a long path', () => {
    const startedAt = performance.now()
    readRequestTarget(`${'/a'.repeat(100_000)}\\`)
    readRequestTarget(`${'/'.repeat(200_000)}\\`)
    expect(performance.now() - startedAt).toBeLessThan(500)
  })
})
