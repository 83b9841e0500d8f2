import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSecureContext, TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { callerOf, type Harness, openHarness, optionsOf } from '../../test/support/databases.ts'
import { testPostgres, type TestDatabase } from '../../test/support/postgres.ts'
import type { DatabaseOptions } from './options.ts'
import { tlsPlan } from './tls.ts'

/**
 * The real server behind a front that speaks TLS the way PostgreSQL does (SSLRequest, `S`, handshake), so
 * that each sslmode meets a certificate for `localhost` from an authority of the test's own.
 */
const hasOpenssl = ((): boolean => {
  try {
    execFileSync('openssl', ['version'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
})()

let dir: string
let front: Server
let database: TestDatabase
let ca = ''
const seen: string[] = []
const sockets = new Set<Socket>()
const ann = callerOf('ann')
const CANCEL = 80_877_102

function makeCertificates(): { key: string; cert: string } {
  const at = (name: string): string => join(dir, name)
  const openssl = (...args: string[]): void => {
    execFileSync('openssl', args, { stdio: 'ignore' })
  }
  const key = (name: string): string[] => ['-newkey', 'rsa:2048', '-nodes', '-keyout', at(name)]
  openssl('req', '-x509', ...key('ca.key'), '-out', at('ca.pem'), '-days', '2', '-subj', '/CN=test authority')
  openssl('req', ...key('server.key'), '-out', at('server.csr'), '-subj', '/CN=localhost')
  writeFileSync(at('san'), 'subjectAltName=DNS:localhost')
  const signed = [
    '-CA',
    at('ca.pem'),
    '-CAkey',
    at('ca.key'),
    '-CAcreateserial',
    '-extfile',
    at('san'),
    '-days',
    '2',
  ]
  openssl('x509', '-req', '-in', at('server.csr'), ...signed, '-out', at('server.pem'))
  ca = readFileSync(at('ca.pem'), 'utf8')
  return { key: readFileSync(at('server.key'), 'utf8'), cert: readFileSync(at('server.pem'), 'utf8') }
}

beforeAll(async () => {
  if (!hasOpenssl) return
  const postgres = await testPostgres()
  database = await postgres.createDatabase()
  dir = mkdtempSync(join(tmpdir(), 'postern-tls-'))
  const secureContext = createSecureContext(makeCertificates())
  front = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => socket.destroy())
    socket.once('data', (request) => {
      if (request.length !== 8) {
        seen.push('plain')
        socket.destroy()
        return
      }
      socket.write('S')
      const secure = new TLSSocket(socket, { isServer: true, secureContext })
      secure.once('data', (first) => {
        seen.push(first.readInt32BE(4) === CANCEL ? 'cancel over TLS' : 'start-up over TLS')
        const server = connect(postgres.port, postgres.host)
        server.on('error', () => secure.destroy())
        server.write(first)
        secure.pipe(server).pipe(secure)
      })
      secure.on('error', () => socket.destroy())
    })
  })
  await new Promise<void>((done) => {
    front.listen(0, '127.0.0.1', done)
  })
})
afterAll(async () => {
  if (!hasOpenssl) return
  for (const socket of sockets) socket.destroy()
  front?.close()
  await database?.drop()
  rmSync(dir, { recursive: true, force: true })
})

const through = (more: Partial<DatabaseOptions>): Promise<Harness> =>
  openHarness([optionsOf(database.readerUrl, { port: (front.address() as AddressInfo).port, ...more })])

describe.skipIf(!hasOpenssl)('sslmode', () => {
  test.each([
    ['prefer', {}],
    ['require', {}],
    ['verify-ca', { own: true }],
    ['verify-ca, although the name is another', { own: true, host: '127.0.0.1' }],
    ['verify-full', { own: true, host: 'localhost' }],
  ] as const)('%s connects', async (mode, setup) => {
    const sslmode = mode.split(',')[0] as DatabaseOptions['sslmode']
    const host = 'host' in setup ? setup.host : '127.0.0.1'
    const harness = await through({ sslmode, host, sslRootCert: 'own' in setup ? ca : null })
    seen.length = 0
    expect(await harness.rows(ann, 'SELECT 1')).toEqual([[1]])
    expect(seen).not.toContain('plain')
    await harness.databases.close()
  })

  test.each([
    ['verify-ca', 'an unknown authority', { host: '127.0.0.1', own: false }, /certificate/],
    ['verify-full', 'an unknown authority', { host: 'localhost', own: false }, /certificate/],
    ['verify-full', 'another name', { host: '127.0.0.1', own: true }, /does not match|altnames/i],
    ['disable', 'a server that wants TLS', { host: '127.0.0.1', own: false }, /cut off|terminated|cannot be/],
  ] as const)('%s does not connect: %s', async (sslmode, _why, { host, own }, message) => {
    const harness = await through({ sslmode, host, sslRootCert: own ? ca : null })
    await expect(harness.run(ann, 'SELECT 1')).rejects.toMatchObject({ code: 'database_unavailable' })
    expect(harness.databases.status()[0]?.message).toMatch(message)
    await harness.databases.close()
  })

  test('require with an authority given verifies like verify-ca, as in libpq', async () => {
    const wrong = await through({
      sslmode: 'require',
      sslRootCert: readFileSync(join(dir, 'server.pem'), 'utf8'),
    })
    await expect(wrong.run(ann, 'SELECT 1')).rejects.toMatchObject({ code: 'database_unavailable' })
    await wrong.databases.close()
  })

  test('a statement is cancelled over TLS, too', async () => {
    const harness = await through({ sslmode: 'require' })
    await harness.rows(ann, 'SELECT 1')
    seen.length = 0
    const running = harness.run(ann, 'SELECT pg_sleep(20)')
    await new Promise((done) => setTimeout(done, 50))
    harness.lifelines.end('ann', 'revoked')
    expect(await running).toMatchObject({
      ok: false,
      error: { code: 'unauthorized', rule: 'credential.revoked' },
    })
    await expect.poll(() => seen).toContain('cancel over TLS')
    await harness.databases.close()
  })
})

test('over a Unix socket there is no TLS, whatever the mode', () => {
  expect(tlsPlan({ host: '/run/postgresql', sslmode: 'verify-full' })).toEqual([false])
})
