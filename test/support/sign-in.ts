import { BrowserJar } from './browser-jar.ts'

/**
 * Walks through the provider's login as a person would, up to the address of the callback, which is not visited.
 *
 * @param start where signing in begins
 */
export async function signInUpToCallback(
  start: string,
  login: string,
  jar = new BrowserJar(),
): Promise<{ readonly callback: string; readonly jar: BrowserJar }> {
  const isCallback = (url: string): boolean => new URL(url).pathname.endsWith('/callback')
  const asked = await jar.follow(start, isCallback)
  if (!asked.response) return { callback: asked.url, jar }
  if (asked.response.status !== 200)
    throw new Error(`${asked.response.status} ${await asked.response.text()}`)
  await asked.response.arrayBuffer()
  const answer = await jar.visit(asked.url, { form: { login } })
  const location = answer.headers.get('location')
  if (location === null) throw new Error(`no redirect (${answer.status}): ${await answer.text()}`)
  const back = await jar.follow(new URL(location, asked.url).href, isCallback)
  return { callback: back.url, jar }
}

export interface SignInAnswer {
  readonly status: number
  readonly text: string
  readonly headers: Headers
  readonly json: {
    readonly token?: string
    readonly code?: string
    readonly rule?: string
    readonly message?: string
    readonly allowed?: string
  }
}

/** The whole of it, answered as JSON. */
export async function signIn(start: string, login: string, jar = new BrowserJar()): Promise<SignInAnswer> {
  const { callback } = await signInUpToCallback(start, login, jar)
  return await visitCallback(callback, jar)
}

export async function visitCallback(
  callback: string,
  jar: BrowserJar,
  accept = 'application/json',
): Promise<SignInAnswer> {
  const response = await jar.visit(callback, { headers: { accept } })
  const text = await response.text()
  return {
    status: response.status,
    text,
    headers: response.headers,
    json: accept === 'application/json' ? (JSON.parse(text) as SignInAnswer['json']) : {},
  }
}
