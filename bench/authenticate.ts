import { hash, randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Authenticator } from '../src/identity/authenticate.ts'
import { type Identity, openIdentity } from '../src/identity/open.ts'
import { systemClock } from '../src/lib/clock.ts'
import { openStore, type Store } from '../src/store/open.ts'
import { insertTokens, type TokenRow } from '../src/store/tokens.ts'
import { type JwtFigures, measureJwts } from './support/jwts.ts'

/**
 * Time to verify a credential, cached and not, among 10, 10,000 and 1,000,000 tokens in SQLite, next to a
 * bare SHA-256 of the same text in the same run; then JWTs of each algorithm, as many as the cache holds.
 * `node bench/authenticate.ts [--json] [--quick] [--jwts]`; `--jwts` leaves the other tokens out.
 */
const quick = process.argv.includes('--quick')
const onlyJwts = process.argv.includes('--jwts')
const SIZES = onlyJwts ? [10] : quick ? [10, 1_000, 10_000] : [10, 10_000, 1_000_000]
const JWT_SIZES = quick ? [10, 1_000] : [10, 1_000, 20_000]
const CACHED_TOKENS = 10
const CACHED_CALLS = quick ? 50_000 : 400_000
const UNCACHED_CALLS = quick ? 500 : 4_000
const ROUNDS = 5

interface Figures {
  readonly tokens: number
  readonly cachedUs: number
  readonly uncachedUs: number
  readonly uncachedP99Us: number
  readonly unknownUs: number
}

const dir = await mkdtemp(join(tmpdir(), 'postern-bench-'))
try {
  const figures: Figures[] = []
  for (const size of SIZES) figures.push(await measure(size))
  const shaUs = bestOf(() => bareSha256(CACHED_CALLS))
  const bytesPerCachedToken = await memoryPerToken()
  const jwts = await measureJwts({ dir, sizes: JWT_SIZES, cachedCalls: CACHED_CALLS, rounds: ROUNDS })
  report(figures, jwts, shaUs, bytesPerCachedToken)
} finally {
  await rm(dir, { recursive: true, force: true })
}

async function measure(size: number): Promise<Figures> {
  const { store, identity } = await open(`tokens-${size}.db`)
  const texts = await fill(store, size)
  const { authenticator } = identity
  const cached = texts.slice(0, CACHED_TOKENS).map((text) => `Bearer ${text}`)
  for (const header of cached) await authenticator.authenticate(header)
  const cachedUs = bestOf(() => authenticateCached(authenticator, cached, CACHED_CALLS))
  await identity.close()
  await store.close()

  // Uncached: each sample is a credential this process has not seen. Small sets are seen again by new processes.
  const samples: number[] = []
  while (samples.length < UNCACHED_CALLS) {
    const fresh = await open(`tokens-${size}.db`)
    const wanted = pick(texts, Math.min(size, UNCACHED_CALLS - samples.length, 2_000))
    await fresh.identity.authenticator.authenticate('Bearer warm-up')
    for (const text of wanted)
      samples.push(await timeOne(fresh.identity.authenticator, `Bearer ${text}`, true))
    await fresh.identity.close()
    await fresh.store.close()
    // Ten tokens at a time would spend the whole run on opening; a few hundred samples say the same.
    if (size < 100 && samples.length >= 300) break
  }

  const unknown = await open(`tokens-${size}.db`)
  const unknownSamples: number[] = []
  for (let i = 0; i < Math.min(UNCACHED_CALLS, 4_000); i += 1) {
    unknownSamples.push(await timeOne(unknown.identity.authenticator, `Bearer pst_invented${i}`, false))
  }
  await unknown.identity.close()
  await unknown.store.close()
  return {
    tokens: size,
    cachedUs,
    uncachedUs: quantile(samples, 0.5),
    uncachedP99Us: quantile(samples, 0.99),
    unknownUs: quantile(unknownSamples, 0.5),
  }
}

async function open(name: string): Promise<{ store: Store; identity: Identity }> {
  const observe = (): void => {}
  const store = await openStore({ kind: 'sqlite', file: join(dir, name) }, { clock: systemClock, observe })
  const identity = await openIdentity({
    store,
    staticTokens: [],
    tokenFile: null,
    enabled: true,
    clock: systemClock,
    observe,
    tenantDefault: 'default',
  })
  return { store, identity }
}

/** Fills the store and answers with up to 20,000 of the tokens. */
async function fill(store: Store, size: number): Promise<string[]> {
  const texts: string[] = []
  const now = Date.now()
  for (let start = 0; start < size; start += 10_000) {
    const rows: TokenRow[] = []
    for (let i = start; i < Math.min(size, start + 10_000); i += 1) {
      const text = `pst_${randomBytes(32).toString('base64url')}`
      if (texts.length < 20_000) texts.push(text)
      rows.push(rowOf(i, text, now))
    }
    await store.db.transaction().execute((trx) => insertTokens(trx, rows))
  }
  return texts
}

function rowOf(i: number, text: string, now: number): TokenRow {
  return {
    id: `tok_${String(i).padStart(9, '0')}`,
    hash: hash('sha256', text, 'hex'),
    note: `token ${i}`,
    owner: `owner ${i}`,
    level: 'read-only',
    tenant: 'default',
    databases: ['main'],
    servers: null,
    scopes: null,
    createdAt: now,
    expiresAt: now + 86_400_000,
    revokedAt: null,
    replacedBy: null,
    revision: 0,
  }
}

/** Microseconds per call. */
function authenticateCached(authenticator: Authenticator, headers: readonly string[], calls: number): number {
  const startedAt = performance.now()
  for (let i = 0; i < calls; i += 1) {
    const answer = authenticator.authenticate(headers[i % headers.length])
    if (answer instanceof Promise || !answer.ok) throw new Error('not cached')
  }
  return ((performance.now() - startedAt) * 1_000) / calls
}

function bareSha256(calls: number): number {
  const text = `pst_${randomBytes(32).toString('base64url')}`
  const startedAt = performance.now()
  for (let i = 0; i < calls; i += 1) hash('sha256', text, 'hex')
  return ((performance.now() - startedAt) * 1_000) / calls
}

async function timeOne(authenticator: Authenticator, header: string, expected: boolean): Promise<number> {
  const startedAt = performance.now()
  const answer = await authenticator.authenticate(header)
  const tookUs = (performance.now() - startedAt) * 1_000
  if (answer.ok !== expected) throw new Error('unexpected answer')
  return tookUs
}

/** Bytes that 15,000 cached credentials take, each with its own grant. Needs `--expose-gc` to be exact. */
async function memoryPerToken(): Promise<number> {
  const { store, identity } = await open('memory.db')
  const texts = (await fill(store, 15_000)).map((text) => `Bearer ${text}`)
  await identity.authenticator.authenticate('Bearer warm-up')
  globalThis.gc?.()
  const before = process.memoryUsage().heapUsed
  for (const header of texts) await identity.authenticator.authenticate(header)
  globalThis.gc?.()
  const bytes = (process.memoryUsage().heapUsed - before) / texts.length
  await identity.close()
  await store.close()
  return bytes
}

function bestOf(run: () => number): number {
  run()
  return Math.min(...Array.from({ length: ROUNDS }, run))
}

function pick(texts: readonly string[], count: number): string[] {
  const start = Math.floor(Math.random() * (texts.length - count + 1))
  return texts.slice(start, start + count)
}

function quantile(samples: readonly number[], q: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] ?? 0
}

function report(
  figures: readonly Figures[],
  jwts: readonly JwtFigures[],
  shaUs: number,
  bytesPerCachedToken: number,
): void {
  const [base] = figures
  const rounded = (value: number): number => Math.round(value * 100) / 100
  const rows = figures.map((one) => ({
    tokens: one.tokens,
    'cached µs': rounded(one.cachedUs),
    '× 10 tokens': rounded(one.cachedUs / (base?.cachedUs ?? one.cachedUs)),
    '× SHA-256': rounded(one.cachedUs / shaUs),
    'uncached µs': rounded(one.uncachedUs),
    'p99 µs': rounded(one.uncachedP99Us),
    '× 10 tokens ': rounded(one.uncachedUs / (base?.uncachedUs ?? one.uncachedUs)),
    'unknown µs': rounded(one.unknownUs),
  }))
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version }
  if (process.argv.includes('--json')) {
    console.log(JSON.stringify({ machine, figures, jwts, sha256Us: shaUs, bytesPerCachedToken }))
    return
  }
  console.table(rows)
  console.table(
    jwts.map((one) => ({
      JWT: one.algorithm,
      tokens: one.tokens,
      'cached µs': rounded(one.cachedUs),
      'all in turn µs': rounded(one.cachedInTurnUs),
      'uncached µs': rounded(one.uncachedUs),
      'p99 µs': rounded(one.uncachedP99Us),
    })),
  )
  console.log(`bare SHA-256: ${rounded(shaUs)} µs; cached token: ${Math.round(bytesPerCachedToken)} bytes`)
  console.log(`${machine.cpu}, ${machine.cores} cores, Node ${machine.node}`)
}
