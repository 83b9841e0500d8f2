import { createConnection } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LoginLimits } from '../../src/identity/users/login-limits.ts'
import { manualClock } from '../support/clock.ts'
import {
  loginFrom,
  openPeopleRoom,
  OTHER,
  PASSWORD,
  type PeopleRoom,
  type RawAnswer,
  untilLimited,
} from '../support/people-room.ts'
import { head, sendRaw } from '../support/raw-http.ts'

let people: PeopleRoom
let url: string
beforeAll(async () => {
  people = await openPeopleRoom('sqlite')
  ;[{ url }] = people.gateways
  await people.add('bob', '--email', 'bob@example.com')
  const { id } = await people.add('disabled')
  await people.api(`/admin/users/${id}`, people.admin, { method: 'PATCH', json: { disabled: true } })
  await people.tenant('acme')
})
afterAll(() => people?.close())

/** Each attack has an address of its own, so that the limits of one say nothing about another. */
let nextAddress = 0
const address = (): string => `127.0.7.${(nextAddress += 1)}`

/** An answer as a stranger sees it, without what differs in every one. */
const shown = ({ status, headers, body }: RawAnswer): string => {
  const { 'x-request-id': _id, date: _date, ...rest } = headers
  return JSON.stringify([status, rest, { ...(body as object), request_id: '' }])
}

const attempt = (from: string, username: string, password = OTHER, more: object = {}): Promise<RawAnswer> =>
  loginFrom(from, url, { username, password, ...more })

describe('finding out who is there', () => {
  it('status, body and headers are the same whatever is wrong', async () => {
    const from = address()
    const answers = [
      await attempt(from, 'alice'),
      await attempt(from, 'nobody-at-all'),
      await attempt(from, 'disabled', PASSWORD),
      await attempt(from, 'bob@example.com'),
      await attempt(from, 'nobody@example.com'),
      await attempt(from, 'alice', PASSWORD, { tenant_id: 'acme' }),
      await attempt(from, 'alice', PASSWORD, { tenant_id: 'nowhere' }),
      await attempt(from, 'acme-admin', PASSWORD, { tenant_id: 'default' }),
      await attempt(from, 'a name that cannot be one'),
      await attempt(from, '\u0000\u0001'),
    ]
    expect(new Set(answers.map(shown)).size).toBe(1)
    expect(answers[0]?.status).toBe(401)
  })

  it('also the limits are the same for a name that is there and one that is not', async () => {
    for (const username of ['bob', 'nobody-here']) {
      const from = address()
      const statuses: number[] = []
      for (let at = 0; at < 5; at += 1) statuses.push((await attempt(from, username)).status)
      expect(statuses).toEqual([401, 401, 401, 401, 401])
      expect(await untilLimited(() => attempt(from, username))).toBeLessThanOrEqual(3)
    }
  })

  it('a spelling is no way around the limit of an account, nor a way to find it', async () => {
    const from = address()
    const spellings = ['bob', 'BOB', ' bob ', 'ｂｏｂ', 'Bob', 'bOB']
    let at = 0
    const next = () => attempt(from, spellings[(at += 1) % spellings.length] ?? '')
    expect(await untilLimited(next)).toBeLessThanOrEqual(8)
  })

  it('tenants cannot be guessed at the sign-in', async () => {
    const from = address()
    const answers: string[] = []
    for (const tenant_id of ['acme', 'acmf', 'default', 'zz', 'ACME', '../default', "' OR 1=1 --"])
      answers.push(shown(await attempt(from, 'nobody', OTHER, { tenant_id })))
    expect(new Set(answers).size).toBe(1)
  })
})

describe('locking others out, and getting in', () => {
  it('whoever fails in somebody’s name elsewhere does not make them wait', async () => {
    for (let times = 0; times < 4; times += 1) {
      const from = address()
      for (let at = 0; at < 6; at += 1) await attempt(from, 'bob')
    }
    const from = address()
    await untilLimited(() => attempt(from, 'bob'), 4)
    expect((await attempt(from, 'bob', PASSWORD)).status).toBe(429)
    expect((await attempt(address(), 'bob', PASSWORD)).status).toBe(200)
  })

  it('one password on many accounts ends after fifty, with the right ones among them', async () => {
    const from = address()
    let at = 0
    for (; at < 90; at += 1) if ((await attempt(from, `sprayed${at}`)).status === 429) break
    // One more for every ten seconds that it took.
    expect(at).toBeGreaterThanOrEqual(50)
    expect(at).toBeLessThan(70)
    expect(await attempt(from, 'alice', PASSWORD)).toMatchObject({
      status: 429,
      body: { rule: 'login.address' },
    })
    expect((await attempt(address(), 'alice', PASSWORD)).status).toBe(200)
  })

  it('credential stuffing from many addresses costs a hash for each try and is slowed for each address', async () => {
    const tries = Array.from({ length: 40 }, (_, at) => attempt(`127.1.${at}.1`, `stuffed${at % 7}`))
    for (const { status } of await Promise.all(tries)) expect([401, 429]).toContain(status)
    expect((await attempt(address(), 'alice', PASSWORD)).status).toBe(200)
  })

  it('rotating through an IPv6 /64 is one address', () => {
    const limits = new LoginLimits(manualClock())
    for (let at = 1; at <= 50; at += 1) limits.failed(`account ${at}`, `2001:db8:1:2::${at.toString(16)}`)
    expect(limits.blocked('another', '2001:db8:1:2:ffff:ffff:ffff:ffff')).toMatchObject({
      rule: 'login.address',
    })
    expect(limits.blocked('another', '2001:db8:1:3::1')).toBeNull()
  })

  it('memory for the limits is bounded, however many names and addresses are made up', () => {
    const limits = new LoginLimits(manualClock())
    for (let at = 0; at < 120_000; at += 1)
      limits.failed(`a${at}`, `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`)
    // The oldest were forgotten, the newest are not: 50,000 of each are kept.
    const kept = (at: number): boolean => {
      for (let times = 0; times < 4; times += 1)
        limits.failed(`a${at}`, `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`)
      return limits.blocked(`a${at}`, `10.${at >> 16}.${(at >> 8) & 255}.${at & 255}`) !== null
    }
    expect(kept(119_999)).toBe(true)
    expect(kept(0)).toBe(false)
  })

  it('forwarded headers make nobody somebody else', async () => {
    const from = address()
    let at = 0
    const forge = () => {
      const forged = `203.0.113.${(at += 1)}`
      const headers = {
        'x-forwarded-for': forged,
        'x-real-ip': forged,
        forwarded: `for=${forged}`,
        'cf-connecting-ip': forged,
        'true-client-ip': forged,
      }
      return loginFrom(from, url, { username: 'bob', password: OTHER }, headers)
    }
    expect(await untilLimited(forge)).toBeLessThanOrEqual(8)
  })

  it('a flood of hashes from many addresses delays no request of others, and nothing is answered wrongly', async () => {
    const flood = Array.from({ length: 160 }, (_, at) => attempt(`127.2.${at}.1`, `flood${at}`))
    const others = await Promise.all(
      Array.from({ length: 20 }, () => people.api('/auth/me', people.admin).then(({ status }) => status)),
    )
    expect(new Set(others)).toEqual(new Set([200]))
    const answers = await Promise.all(flood)
    for (const { status, headers } of answers) {
      expect([401, 429]).toContain(status)
      if (status === 429) expect(Number(headers['retry-after'])).toBeGreaterThanOrEqual(1)
    }
    expect((await attempt(address(), 'alice', PASSWORD)).status).toBe(200)
  })
})

describe('bodies', () => {
  it('too large ones end before they are read, with and without a length', async () => {
    const port = Number(new URL(url).port)
    const large = await attempt(address(), 'bob', 'x'.repeat(1_000_000))
    expect([large.status, (large.body as { code: string }).code]).toEqual([413, 'body_too_large'])
    const lying = await sendRaw(
      port,
      `${head('POST /api/v1/auth/login', ['content-type: application/json', 'content-length: 999999999'])}{`,
    )
    expect(lying.status).toBe(413)
    const chunk = `${(4_096).toString(16)}\r\n${' '.repeat(4_096)}\r\n`
    const endless = await sendRaw(port, [
      head('POST /api/v1/auth/login', ['content-type: application/json', 'transfer-encoding: chunked']),
      chunk,
      chunk,
      chunk,
    ])
    expect(endless.status).toBe(413)
  })

  it('slow ones hold up nobody', async () => {
    const sockets = await Promise.all(
      Array.from(
        { length: 50 },
        () =>
          new Promise<ReturnType<typeof createConnection>>((resolve) => {
            const socket = createConnection({ host: '127.0.0.1', port: Number(new URL(url).port) }, () => {
              socket.write(
                head('POST /api/v1/auth/login', ['content-type: application/json', 'content-length: 60']),
              )
              socket.write('{"username"')
              resolve(socket)
            })
            socket.on('error', () => undefined)
          }),
      ),
    )
    expect((await attempt(address(), 'alice', PASSWORD)).status).toBe(200)
    for (const socket of sockets) socket.destroy()
  })

  it.each([
    ['a repeated key', '{"username":"alice","username":"bob","password":"x"}'],
    [
      'a repeated key in another spelling of JSON',
      '{"username":"alice","user\\u006eame":"bob","password":"x"}',
    ],
    ['a list', '["alice","x"]'],
    ['a list for the name', '{"username":["alice"],"password":"x"}'],
    ['a number', '{"username":1,"password":"x"}'],
    ['a number for the password', '{"username":"alice","password":1}'],
    ['true for the password', '{"username":"alice","password":true}'],
    ['null', '{"username":"alice","password":null}'],
    ['an operator of a database', '{"username":{"$gt":""},"password":{"$gt":""}}'],
    ['a prototype', '{"__proto__":{"username":"alice"},"password":"x"}'],
    ['a constructor', '{"constructor":{"prototype":{}},"username":"alice","password":"x"}'],
    ['a role with it', '{"username":"alice","password":"x","admin":true,"role":"admin"}'],
    ['deep nesting', `{"username":${'['.repeat(100)}${']'.repeat(100)},"password":"x"}`],
    ['half a surrogate pair', '{"username":"\\ud800","password":{}}'],
    ['nothing', ''],
    ['no JSON', 'username=alice&password=x'],
    ['two documents', '{"username":"alice","password":"x"}{}'],
    ['no UTF-8', Buffer.from([0x7b, 0xff, 0x7d]).toString('latin1')],
  ])('%s is refused before anything is looked up', async (_, body) => {
    const { status, body: answer } = await loginFrom(address(), url, body)
    expect([status, (answer as { error: string }).error]).toEqual([400, 'bad_request'])
    expect(JSON.stringify(answer)).not.toContain('alice')
  })

  it('a NUL in a password is a wrong password, never the part before it', async () => {
    const from = address()
    for (const password of [`${PASSWORD}\0`, `${PASSWORD}\0tail`, `\0${PASSWORD}`, '\0'])
      expect((await attempt(from, 'alice', password)).status).toBe(401)
  })

  it('a password is compared to its last byte, and is not normalised', async () => {
    const from = address()
    const long = `${'é'.repeat(500)}!`
    await people.api('/admin/users', people.admin, { json: { username: 'longer', password: long } })
    expect((await attempt(from, 'longer', long)).status).toBe(200)
    expect((await attempt(from, 'longer', long.slice(0, -1))).status).toBe(401)
    expect((await attempt(from, 'longer', long.normalize('NFD').slice(0, 1_000))).status).toBe(401)
    expect((await attempt(from, 'longer', long.toUpperCase())).status).toBe(401)
  })

  it('a look-alike of a name gets nobody in, and cannot be made', async () => {
    await people.add('coco')
    const from = address()
    // Cyrillic: another name altogether.
    expect((await attempt(from, 'сосо', PASSWORD)).status).toBe(401)
    // Full width: the same name, and the answer says under which it is kept.
    const token = await attempt(from, 'ｃｏｃｏ', PASSWORD)
    expect(token.status).toBe(200)
    const me = await people.api('/auth/me', (token.body as { token: string }).token)
    expect(me.body).toMatchObject({ username: 'coco' })
    for (const username of ['сосо', 'c0co', 'cócó', 'coco\u200b', 'ⅽoⅽo']) {
      const made = await people.api('/admin/users', people.admin, { json: { username, password: PASSWORD } })
      expect(made.status, username).toBe(400)
    }
    const made = await people.api('/admin/users', people.admin, {
      json: { username: 'ＺＯË', password: PASSWORD },
    })
    expect(made).toMatchObject({ status: 201, body: { username: 'zoë' } })
  })
})

describe('other ways in', () => {
  const LOGIN = JSON.stringify({ username: 'alice', password: PASSWORD })

  it('a body that is a sign-in is nothing anywhere else', async () => {
    for (const path of [
      '/api/v1/auth/me',
      '/api/v1/auth/logout',
      '/api/v1/auth/password',
      '/api/v1/auth/Login',
      '/api/v1/auth//login',
      '/api/v1/auth/login/extra',
      '/api/v1/auth/%6cogin',
      '/api/v1/admin/users',
      '/mcp',
      '/',
    ]) {
      const { status } = await fetch(`${url}${path}`, {
        method: 'POST',
        body: LOGIN,
        headers: { 'content-type': 'application/json' },
      })
      expect([status, path]).toEqual([401, path])
    }
  })

  it('other methods do not sign in, and none is smuggled', async () => {
    const port = Number(new URL(url).port)
    for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'TRACE', 'PROPFIND', 'post', 'POSTX']) {
      const sent = await sendRaw(
        port,
        `${head(`${method} /api/v1/auth/login`, ['content-type: application/json', `content-length: ${LOGIN.length}`])}${LOGIN}`,
      )
      expect([400, 401, 405, 501], method).toContain(sent.status)
      expect(sent.all).not.toContain('"token"')
    }
    for (const header of ['x-http-method-override: POST', 'x-method-override: POST', 'x-http-method: POST']) {
      const sent = await sendRaw(port, head('GET /api/v1/auth/login?_method=POST', [header]))
      expect(sent.status).toBe(405)
    }
    const query = await fetch(
      `${url}/api/v1/auth/login?username=alice&password=${encodeURIComponent(PASSWORD)}`,
      {
        method: 'POST',
      },
    )
    expect(query.status).toBe(400)
  })

  it('other types of body are not taken for JSON', async () => {
    for (const type of [
      'text/plain',
      'application/x-www-form-urlencoded',
      'multipart/form-data; boundary=x',
    ]) {
      const sent = await loginFrom(address(), url, LOGIN, { 'content-type': type })
      expect([sent.status, type]).toEqual([415, type])
    }
  })

  it('nothing of it is in the log or the answers', () => {
    const everything = people.gateways.map((one) => one.stderr() + one.stdout()).join('')
    for (const text of [PASSWORD, OTHER, 'nobody-at-all', 'stuffed', 'sprayed'])
      expect(everything).not.toContain(text)
  })
})
