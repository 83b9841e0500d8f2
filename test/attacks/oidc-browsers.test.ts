import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { transactionCookies } from '../../src/http/sign-in/transaction-cookies.ts'
import { configuration, openRoom, type Room } from '../acceptance/pgedge/room.ts'
import { BrowserJar } from '../support/browser-jar.ts'
import { CLIENT_SECRET, type RunningProvider, startProvider } from '../support/oidc-provider/start.ts'
import type { Serving } from '../support/postern.ts'
import { head, sendRaw } from '../support/raw-http.ts'
import { signInUpToCallback, visitCallback } from '../support/sign-in.ts'

let provider: RunningProvider
let room: Room
let gateway: Serving
let start: string

beforeAll(async () => {
  provider = await startProvider()
  room = await openRoom({
    'postern.yaml': configuration({
      auth: {
        oidc: {
          company: {
            issuer: provider.issuer,
            clientId: 'postern',
            clientSecret: CLIENT_SECRET,
            roles: { reader: ['staff'] },
          },
        },
      },
    }),
  })
  gateway = await room.serve()
  start = `${gateway.url}/api/v1/auth/oidc/company`
  await provider.setAccounts({
    victim: { sub: 'sub-victim', claims: { preferred_username: 'victim', groups: ['staff'] } },
    attacker: { sub: 'sub-attacker', claims: { preferred_username: 'attacker', groups: ['staff'] } },
  })
})

afterAll(async () => {
  await room?.close()
  await provider?.close()
})

describe('somebody else’s browser', () => {
  it('is not signed in by a link to an answer that is the attacker’s (login CSRF)', async () => {
    const { callback } = await signInUpToCallback(start, 'attacker')
    expect((await visitCallback(callback, new BrowserJar())).json).toMatchObject({ rule: 'oidc.browser' })
    const victim = new BrowserJar()
    await victim.visit(start)
    expect((await visitCallback(callback, victim)).json).toMatchObject({ rule: 'oidc.browser' })
  })

  it('gains nothing from the code of a victim: PKCE and the nonce hold it to the sign-in of the victim', async () => {
    const stolen = new URL((await signInUpToCallback(start, 'victim')).callback)
    const own = await signInUpToCallback(start, 'attacker')
    const injected = new URL(own.callback)
    injected.searchParams.set('code', stolen.searchParams.get('code') ?? '')
    const { status, json } = await visitCallback(injected.href, own.jar)
    expect([status, json.code, json.rule]).toEqual([400, 'sign_in_failed', 'oidc.code'])
  })

  it('gets one token for one answer, however often and at once it asks', async () => {
    const { callback, jar } = await signInUpToCallback(start, 'victim')
    const cookie = jar.cookies(callback)
    const visits = await Promise.all(
      Array.from({ length: 8 }, async () => {
        const response = await fetch(callback, { headers: { accept: 'application/json', cookie } })
        return ((await response.json()) as { token?: string; rule?: string }).rule ?? 'token'
      }),
    )
    expect(visits.filter((one) => one === 'token')).toHaveLength(1)
    expect(new Set(visits)).toEqual(new Set(['token', 'oidc.used']))
  })

  it('cannot have an image or a frame begin sign-ins for it', async () => {
    for (const [mode, dest] of [
      ['no-cors', 'image'],
      ['navigate', 'iframe'],
    ] as const) {
      const headers = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': mode, 'sec-fetch-dest': dest }
      const answer = await rawGet('/api/v1/auth/oidc/company', headers)
      expect(answer.status).toBe(400)
      expect(answer.head).not.toContain('set-cookie')
    }
    const link = {
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
    }
    expect((await rawGet('/api/v1/auth/oidc/company', link)).status).toBe(302)
  })
})

describe('where a person is sent', () => {
  it('is the provider, or a path of this server, and nothing that is written otherwise', async () => {
    for (const wrong of [
      'https://evil.example.com/',
      '//evil.example.com',
      '/\\evil.example.com',
      '\\\\evil.example.com',
      '/%0d%0aSet-Cookie:a=b\r\nX: y',
      '/\t/evil.example.com',
      'javascript:alert(1)',
      '/"onmouseover=alert(1)',
      '/<script>',
      '',
      `/${'a'.repeat(600)}`,
    ]) {
      const answer = await new BrowserJar().visit(`${start}?return_to=${encodeURIComponent(wrong)}`, {
        headers: { accept: 'application/json' },
      })
      const body = (await answer.json()) as { rule?: string }
      expect([answer.status, body.rule, answer.headers.get('location')], wrong).toEqual([
        400,
        'oidc.return_to',
        null,
      ])
    }
    const good = await new BrowserJar().visit(`${start}?return_to=/console`)
    expect(new URL(good.headers.get('location') ?? '').origin).toBe(provider.issuer)
  })

  it('takes nothing from the address that could be a header', async () => {
    for (const path of [
      '/api/v1/auth/oidc/company%0d%0aX-Evil:1',
      '/api/v1/auth/oidc/%3Cscript%3E',
      '/api/v1/auth/oidc/..%2fcompany',
      `/api/v1/auth/oidc/${'a'.repeat(200)}`,
    ]) {
      const { status, head: got, body } = await rawGet(path, { accept: 'text/html' })
      expect([400, 401, 404], path).toContain(status)
      expect(got).not.toContain('x-evil')
      expect(body).not.toContain('<script>e')
      expect(body).not.toContain('%3Cscript')
    }
  })
})

describe('the pages', () => {
  it('show what others wrote as text, of bounded length', async () => {
    const evil = `<img src=x onerror=alert(1)>"'&${'x'.repeat(5_000)}`
    await provider.setAccounts({
      evil: { sub: '"><script>alert(1)</script>', claims: { preferred_username: evil, groups: ['staff'] } },
      twin: { sub: 'x" --role admin; rm -rf /', claims: { preferred_username: 'victim', groups: ['staff'] } },
    })
    const first = await signInUpToCallback(start, 'victim')
    await visitCallback(first.callback, first.jar)
    for (const login of ['evil', 'twin']) {
      const { callback, jar } = await signInUpToCallback(start, login)
      const { status, text } = await visitCallback(callback, jar, 'text/html')
      expect(status).toBe(403)
      expect(text).not.toMatch(/<img|onerror=alert\(1\)>|<script>alert|rm -rf/)
      expect(text.length).toBeLessThan(12_000)
    }
    const answer = `${start}/callback?state=${'A'.repeat(43)}&error=%3Cscript%3Ealert(1)%3C/script%3E&error_description=%3Cb%3E`
    const { status, text } = await visitCallback(answer, new BrowserJar(), 'text/html')
    expect(status).toBe(400)
    expect(text).not.toMatch(/alert\(1\)|<b>/)
  })

  it('refuse an answer that says a thing twice, or at length', async () => {
    for (const query of ['code=a&code=b&state=c', 'state=a&state=b', `code=${'a'.repeat(5_000)}&state=x`]) {
      const { json } = await visitCallback(`${start}/callback?${query}`, new BrowserJar())
      expect(json).toMatchObject({ code: 'sign_in_failed', rule: 'oidc.answer' })
    }
  })
})

describe('the cookies', () => {
  it('are of this server alone, for no script, for no other site, and for ten minutes', async () => {
    const answer = await new BrowserJar().visit(start)
    expect(answer.headers.getSetCookie()).toEqual([
      expect.stringMatching(
        /^postern-sign-in-[0-9a-f]{32}=s1\.[\w.-]+; Max-Age=600; Path=\/api\/v1\/auth\/oidc; HttpOnly; SameSite=Lax$/,
      ) as string,
    ])
    const [secure] = transactionCookies(null, 'https://postern.example.com').keep('a'.repeat(32), 'x')
    expect(secure).toBe(
      `__Host-postern-sign-in-${'a'.repeat(32)}=x; Max-Age=600; Path=/; Secure; HttpOnly; SameSite=Lax`,
    )
  })

  it('never become more than a request can carry', async () => {
    const jar = new BrowserJar()
    for (let at = 0; at < 20; at += 1) await jar.visit(start)
    expect(jar.cookies(start).split('; ')).toHaveLength(6)
  })

  it('that are there twice, as one that another host has planted, count as none', () => {
    const id = 'b'.repeat(32)
    const header = `postern-sign-in-${id}=planted; postern-sign-in-${id}=own`
    expect(transactionCookies(header, 'http://127.0.0.1:8080').sealedOf(id)).toBeUndefined()
    const plain = `postern-sign-in-${id}=planted`
    expect(transactionCookies(plain, 'https://postern.example.com').sealedOf(id)).toBeUndefined()
  })
})

/** A request with headers that `fetch` sets by itself. */
async function rawGet(path: string, headers: Readonly<Record<string, string>>) {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  const reply = await sendRaw(Number(new URL(gateway.url).port), head(`GET ${path}`, lines))
  return { ...reply, head: reply.head.toLowerCase() }
}
