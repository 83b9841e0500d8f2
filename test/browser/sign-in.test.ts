import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { type Browser, chromium } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { configuration, openRoom, type Room } from '../acceptance/pgedge/room.ts'
import { CLIENT_SECRET, type RunningProvider, startProvider } from '../support/oidc-provider/start.ts'
import { ask, type Serving } from '../support/postern.ts'

/** Of Debian; `.ci/run` installs it where it is missing. */
const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find(existsSync)

/** Where screenshots go, for whoever wants to look at them. */
const SHOTS = process.env['POSTERN_TEST_SHOTS']

let provider: RunningProvider
let room: Room
let gateway: Serving
let browser: Browser

beforeAll(async () => {
  if (CHROMIUM === undefined) throw new Error('no Chromium: apt-get install chromium')
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
  browser = await chromium.launch({ executablePath: CHROMIUM, headless: true, args: ['--no-sandbox'] })
  if (SHOTS !== undefined) await mkdir(SHOTS, { recursive: true })
})

afterAll(async () => {
  await browser?.close()
  await room?.close()
  await provider?.close()
})

const WAYS = [
  { name: 'wide', width: 1_100, height: 800, colorScheme: 'light' },
  { name: 'narrow', width: 360, height: 740, colorScheme: 'light' },
  { name: 'dark', width: 1_100, height: 800, colorScheme: 'dark' },
] as const

describe.each(WAYS)('a $name browser', ({ name, width, height, colorScheme }) => {
  const login = `Person-${name}`

  async function openPage() {
    const context = await browser.newContext({
      viewport: { width, height },
      colorScheme,
      permissions: ['clipboard-read', 'clipboard-write'],
    })
    const page = await context.newPage()
    const complaints: string[] = []
    page.on('console', (message) => complaints.push(message.text()))
    page.on('pageerror', (error) => complaints.push(error.message))
    const requested: string[] = []
    page.on('request', (request) => requested.push(request.url()))
    return { context, page, complaints, requested }
  }

  it('OIDC a person clicks through the login of the provider, and copies the token', async () => {
    const claims = { preferred_username: login, groups: ['staff'] }
    await provider.setAccounts({ [login]: { sub: `sub-${login}`, claims } })
    const { context, page, complaints, requested } = await openPage()
    await page.goto(`${gateway.url}/api/v1/auth/oidc/company?return_to=/console`)
    await page.getByLabel('Account').fill(login)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('heading', { name: `You are signed in as ${login.toLowerCase()}` }).waitFor()
    if (SHOTS !== undefined)
      await page.screenshot({ path: join(SHOTS, `signed-in-${name}.png`), fullPage: true })

    const token = (await page.locator('#token').textContent()) ?? ''
    expect((await ask(`${gateway.url}/api/v1/auth/me`, token)).body).toMatchObject({
      username: login.toLowerCase(),
      level: 'read-only',
    })
    await page.getByRole('button', { name: 'Copy' }).click()
    await page.getByRole('button', { name: 'Copied' }).waitFor()
    expect(await page.evaluate<string>('navigator.clipboard.readText()')).toBe(token)
    // Neither the code nor the state stays in the address, and so in the history.
    expect(page.url()).toBe(`${gateway.url}/api/v1/auth/oidc/company/callback`)
    const cookies = await context.cookies(gateway.url)
    expect(cookies.filter((cookie) => cookie.name.includes('postern'))).toEqual([])
    expect(await page.evaluate<number>('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width)
    const background = await page.evaluate<string>('getComputedStyle(document.body).backgroundColor')
    expect(background).toBe(colorScheme === 'dark' ? 'rgb(18, 22, 28)' : 'rgb(244, 245, 247)')
    expect(complaints).toEqual([])
    const others = requested.filter((url) => !url.startsWith(gateway.url) && !url.startsWith(provider.issuer))
    expect(others).toEqual([])
    await context.close()
  })

  it('OIDC who may not come in reads why, and how to go on', async () => {
    const outsider = `outsider-${name}`
    const claims = { preferred_username: outsider, groups: ['<b>other</b>'] }
    await provider.setAccounts({ [outsider]: { sub: `sub-${outsider}`, claims } })
    const { context, page, complaints } = await openPage()
    await page.goto(`${gateway.url}/api/v1/auth/oidc/company`)
    await page.getByLabel('Account').fill(outsider)
    await page.getByRole('button', { name: 'Sign in' }).click()
    await page.getByRole('heading', { name: 'You cannot sign in here' }).waitFor()
    if (SHOTS !== undefined)
      await page.screenshot({ path: join(SHOTS, `refused-${name}.png`), fullPage: true })
    await page.getByText('oidc.role', { exact: true }).waitFor()
    const again = page.getByRole('link', { name: 'Begin again' })
    expect(await again.getAttribute('href')).toBe(`${gateway.url}/api/v1/auth/oidc/company`)
    // The status is 403, which a browser tells of by itself.
    expect(complaints.filter((text) => !text.includes('403'))).toEqual([])
    await context.close()
  })
})
