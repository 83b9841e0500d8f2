import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { postern, scratch } from './postern.ts'

const { dir, remove } = scratch()
afterAll(remove)

const json = async (args: readonly string[]) => {
  const { code, stdout } = await postern([...args, '--data-dir', join(dir, 'data'), '--json'], { cwd: dir })
  return { code, document: JSON.parse(stdout) as Record<string, unknown> }
}

let id: string
beforeAll(async () => {
  const { document } = await json([
    'token',
    'add',
    '--note',
    'Narrow',
    '--database',
    'staging',
    '--server',
    'files',
  ])
  id = String(document['id'])
})

const explain = (...args: string[]) => json(['access', 'explain', '--token-id', id, ...args])

describe('C3 postern access explain', () => {
  it('says why a token may', async () => {
    expect(await explain('--tool', 'query_database', '--database', 'staging')).toEqual({
      code: 0,
      document: {
        credential_id: id,
        tool: 'query_database',
        database: 'staging',
        allowed: true,
        rule: 'level:read-only',
        message: expect.any(String) as string,
      },
    })
  })

  it.each([
    [['--tool', 'query_database', '--database', 'other'], 'database', 'databases staging'],
    [['--tool', 'no_such_tool'], 'tool', undefined],
    [['--tool', 'x', '--server', 'hub'], 'server', undefined],
    [['--tool', 'x', '--server', 'files'], 'server', undefined],
  ])('%j is refused by the rule %s', async (args, rule, instead) => {
    const { code, document } = await explain(...args)
    expect(code).toBe(1)
    expect(document).toMatchObject({ allowed: false, rule, ...(instead === undefined ? {} : { instead }) })
  })

  it('says of a revoked token that it may do nothing, and knows no other', async () => {
    const { document } = await json(['token', 'add', '--note', 'Gone'])
    await json(['token', 'remove', String(document['id'])])
    const args = ['access', 'explain', '--tool', 'query_database', '--token-id']
    expect(await json([...args, String(document['id'])])).toMatchObject({
      code: 1,
      document: { allowed: false, rule: 'credential.revoked' },
    })
    expect(await json([...args, 'tok_unknown'])).toMatchObject({
      code: 1,
      document: { error: 'refused', code: 'not_found' },
    })
  })

  it('needs the token and the tool', async () => {
    expect(await explain()).toMatchObject({ code: 2, document: { error: 'usage' } })
    expect(await json(['access', 'explain', '--tool', 'x'])).toMatchObject({ code: 2 })
  })
})
