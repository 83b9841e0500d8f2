import { mkdirSync, renameSync, rmdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { manualClock } from '../../test/support/clock.ts'
import { systemClock } from '../lib/clock.ts'
import { openStore, type Store } from '../store/open.ts'
import { appendInThread } from './append-in-thread.ts'
import { EntryPages } from './entry-pages.ts'
import type { AuditEvent } from './entry.ts'
import { openAudit } from './open.ts'
import { verifyAudit } from './verify.ts'

/** A busy machine may need a while to start a thread. */
const WAIT = { timeout: 20_000 }

const EVENT: AuditEvent = { kind: 'system', outcome: 'done', at: 1, action: 'server.start' }

let dir: string
const openOn = (file: string): Promise<Store> =>
  openStore({ kind: 'sqlite', file }, { clock: systemClock, observe: () => undefined })

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'postern-thread-'))
})
afterEach(async () => {
  await rm(dir, { recursive: true, force: true })
})

describe('appending from a thread', () => {
  it('starts a thread anew, whose work the end of the old one does not answer for', async () => {
    const file = join(dir, 'store.db')
    const ready = join(dir, 'ready.db')
    await (await openOn(ready)).close()
    mkdirSync(file)
    const pages = new EntryPages(10)
    pages.push({ at: 1, entry: JSON.stringify(EVENT) })
    const page = pages.first()
    if (!page) throw new Error('there is no page')
    const thread = appendInThread(file)
    // Nothing can be opened at that place: the thread fails first and ends a little later.
    await expect(thread.append(page)).rejects.toThrow(/store\.db/)
    rmdirSync(file)
    renameSync(ready, file)
    await thread.append(page)
    await thread.close()
    const store = await openOn(file)
    expect(await verifyAudit(store.db)).toMatchObject({ intact: true, checked: 1 })
    await store.close()
  })

  it('writes nothing into a store whose file was replaced: nobody would ever read it', async () => {
    const file = join(dir, 'store.db')
    const store = await openOn(file)
    const options = { bufferEvents: 100, flushIntervalMs: 200, retentionMs: 1e12, threadFile: file }
    const audit = openAudit(store.db, manualClock(), () => undefined, options)
    audit.record(EVENT)
    await audit.flush()
    renameSync(file, join(dir, 'moved.db'))
    await vi.waitFor(() => expect(store.feed.healthy()).toBe(false), WAIT)
    audit.record(EVENT)
    await expect(audit.flush()).rejects.toMatchObject({ code: 'store_unavailable' })
    await expect(audit.close()).rejects.toMatchObject({ code: 'store_unavailable' })
    await store.close()
  })
})
