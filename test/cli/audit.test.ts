import { join } from 'node:path'
import { sql } from 'kysely'
import { describe, expect, it } from 'vitest'
import { openAudit } from '../../src/audit/open.ts'
import { systemClock } from '../../src/lib/clock.ts'
import { openStore } from '../../src/store/open.ts'
import { postern, workFolder } from '../support/postern.ts'

describe('postern audit', () => {
  it('shows what the command line did, proves the record, and names the first entry that was changed', async () => {
    const { dir, remove } = await workFolder()
    const run = (...args: string[]) => postern(args, { cwd: dir })
    try {
      for (const note of ['first', 'second', 'third']) {
        expect(await run('token', 'add', '--note', note, '--expiry', '1d', '--json')).toMatchObject({
          code: 0,
        })
      }
      const search = await run('audit', 'search', '--tool', 'token.add', '--limit', '2', '--json')
      expect(JSON.parse(search.stdout)).toMatchObject([
        { kind: 'administration', outcome: 'done', tool: 'token.add' },
        { kind: 'administration', outcome: 'done', tool: 'token.add' },
      ])
      const text = await run('audit', 'search')
      expect(text.stdout.split('\n').filter((line) => line.includes('token.add'))).toHaveLength(3)

      const intact = await run('audit', 'verify', '--json')
      expect(intact.code).toBe(0)
      expect(JSON.parse(intact.stdout)).toMatchObject({ intact: true, checked: 3, head_seq: 3 })

      const file = join(dir, '.postern', 'postern.db')
      const store = await openStore(
        { kind: 'sqlite', file },
        { clock: systemClock, observe: () => undefined },
      )
      await sql`UPDATE audit_entries SET entry = replace(entry, 'token.add', 'token.eat') WHERE seq = 2`.execute(
        store.db,
      )
      await store.close()
      const broken = await run('audit', 'verify', '--json')
      expect(broken.code).toBe(1)
      expect(JSON.parse(broken.stdout)).toMatchObject({
        error: 'failed',
        code: 'audit_broken',
        first_bad: { seq: 2, problem: 'altered' },
      })
      const said = await run('audit', 'verify')
      expect(said.stderr).toContain('entry 2 was altered after it was written')
    } finally {
      await remove()
    }
  })

  it('finds what a user did by name, though the record has ids, and shows names', async () => {
    const { dir, remove } = await workFolder()
    const run = (...args: string[]) => postern(args, { cwd: dir })
    try {
      const added = ['user', 'add', '--password', 'tide-tables-at-noon', '--username']
      expect(await run(...added, 'Mira', '--tenant', 'harbour')).toMatchObject({ code: 0 })
      expect(await run(...added, 'mira')).toMatchObject({ code: 0 })
      const [user] = JSON.parse((await run('user', 'list', '--tenant', 'harbour', '--json')).stdout) as {
        id: string
      }[]
      const { stdout } = await run('audit', 'search', '--kind', 'administration')
      expect(stdout).toContain('mira (harbour)')
      expect(stdout).toContain('mira (default)')
      expect(stdout).not.toContain(user?.id ?? 'no user')

      const store = await openStore(
        { kind: 'sqlite', file: join(dir, '.postern', 'postern.db') },
        { clock: systemClock, observe: () => undefined },
      )
      const audit = openAudit(store.db, systemClock, () => undefined, {
        bufferEvents: 10,
        flushIntervalMs: 10,
        retentionMs: 86_400_000,
      })
      const principal = user?.id ?? ''
      audit.record({ kind: 'decision', outcome: 'refuse', at: systemClock.now(), principal, rule: 'level' })
      await audit.close()
      await store.close()
      const search = await run('audit', 'search', '--who', 'MIRA', '--kind', 'decision', '--json')
      expect(JSON.parse(search.stdout)).toMatchObject([{ who: principal, outcome: 'refuse' }])
      expect((await run('audit', 'search', '--who', 'mira', '--kind', 'system')).stdout).toContain('No entry')
    } finally {
      await remove()
    }
  })

  it.each([
    ['--limit', '0'],
    ['--limit', 'many'],
    ['--since', 'yesterday'],
    ['--outcome', 'maybe'],
    ['--kind', 'other'],
  ])('refuses %s %s as wrong usage', async (option, value) => {
    const { dir, remove } = await workFolder()
    try {
      expect((await postern(['audit', 'search', option, value], { cwd: dir })).code).toBe(2)
    } finally {
      await remove()
    }
  })
})
