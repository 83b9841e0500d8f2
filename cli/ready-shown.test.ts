import { describe, expect, it } from 'vitest'
import { Secret } from '../src/lib/secret.ts'
import { testInvocation } from '../test/support/invocation.ts'
import { type Ready, readyDocument, readyText } from './ready-shown.ts'

const { style } = testInvocation().invocation
const first: Ready = {
  url: 'http://127.0.0.1:8080',
  token: new Secret('pst_the-one-admin-token'),
  dataDir: '/srv/postern',
  authentication: true,
  hasDatabase: true,
  servers: [],
}
const later: Ready = { ...first, token: null }

describe('what serve shows when it is ready', () => {
  it('C4 shows the admin token of a first start once, with the next steps', () => {
    const text = readyText(first, style)
    expect(text.split('pst_the-one-admin-token')).toHaveLength(2)
    expect(text).toContain('export POSTERN_TOKEN=pst_the-one-admin-token')
    expect(text).toContain('curl http://127.0.0.1:8080/mcp/tools/query_database ')
    expect(text).toContain('claude mcp add --transport http postern http://127.0.0.1:8080/mcp ')
    const settings = JSON.parse(/^ {4}\{[\s\S]*^ {4}\}$/m.exec(text)?.[0] ?? '') as unknown
    expect(settings).toEqual({
      mcpServers: {
        postern: {
          type: 'http',
          url: 'http://127.0.0.1:8080/mcp',
          headers: { Authorization: 'Bearer ${POSTERN_TOKEN}' },
        },
      },
    })
  })

  it('is short on every later start', () => {
    expect(readyText(later, style).split('\n').length).toBeLessThan(12)
    expect(readyText(later, style)).not.toContain('POSTERN_TOKEN')
  })

  it('offers no query where there is no database', () => {
    expect(readyText({ ...first, hasDatabase: false }, style)).not.toContain('query_database')
  })

  it('names the servers behind it, and says so when there is nothing yet', () => {
    expect(readyText({ ...later, servers: ['wiki', 'files'] }, style)).toContain('Servers:  wiki, files')
    const many = Array.from({ length: 11 }, (_, at) => `s${at}`)
    expect(readyText({ ...later, servers: many }, style)).toContain('s6, s7 and 3 more')
    expect(readyText({ ...later, hasDatabase: false }, style)).toContain('Nothing is behind it yet')
    for (const some of [later, { ...later, hasDatabase: false, servers: ['wiki'] }])
      expect(readyText(some, style)).not.toContain('Nothing is behind it')
  })

  it('says so when nobody is asked for a token', () => {
    expect(readyText({ ...later, authentication: false }, style)).toContain('no authentication')
    expect(readyText(later, style)).not.toContain('no authentication')
  })

  it('is one document in JSON mode, with the token of a first start only', () => {
    expect(readyDocument(first)).toEqual({
      url: 'http://127.0.0.1:8080',
      mcp_url: 'http://127.0.0.1:8080/mcp',
      data_dir: '/srv/postern',
      authentication: true,
      token: 'pst_the-one-admin-token',
    })
    expect(readyDocument(later)).not.toHaveProperty('token')
  })
})
