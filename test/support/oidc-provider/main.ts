/**
 * A real OpenID provider in a process of its own: oidc-provider with accounts that a test sets over HTTP, and a login
 * page. Prints `{"issuer"}` when it is there; ends with its standard input.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { generateKeyPairSync } from 'node:crypto'
import { Provider } from 'oidc-provider'

interface Account {
  readonly sub: string
  readonly claims: Readonly<Record<string, unknown>>
}

const accounts = new Map<string, Account>()

const server = createServer()
await new Promise<void>((resolve) => {
  server.listen(0, '127.0.0.1', resolve)
})
const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

const client = (name: string, secret: string | null) => ({
  client_id: name,
  ...(secret === null ? {} : { client_secret: secret }),
  token_endpoint_auth_method: secret === null ? ('none' as const) : ('client_secret_basic' as const),
  // Native clients may come back to any port of this machine (RFC 8252 §7.3).
  application_type: 'native' as const,
  redirect_uris: ['company', 'public'].map(
    (provider) => `http://127.0.0.1/api/v1/auth/oidc/${provider}/callback`,
  ),
  grant_types: ['authorization_code'],
})

const provider = new Provider(issuer, {
  clients: [client('postern', 'a-secret-of-the-registration'), client('postern-public', null)],
  cookies: { keys: ['a key of the tests'] },
  jwks: {
    keys: [
      {
        ...generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey.export({ format: 'jwk' }),
        kid: 'first',
        use: 'sig',
      },
    ],
  },
  claims: {
    openid: ['sub'],
    profile: ['preferred_username', 'groups', 'organization'],
    email: ['email', 'email_verified'],
  },
  features: { devInteractions: { enabled: false } },
  pkce: { required: () => true },
  interactions: { url: (_, interaction) => `/login/${interaction.uid}` },
  ttl: { Interaction: 600, Session: 600, Grant: 600, AccessToken: 600, IdToken: 600, AuthorizationCode: 60 },
  async findAccount(_, id) {
    const account = [...accounts.values()].find(({ sub }) => sub === id)
    if (!account) return undefined
    return await Promise.resolve({ accountId: id, claims: () => ({ sub: id, ...account.claims }) })
  },
  /** Nobody is asked what they agree to: it is their company's. */
  async loadExistingGrant(ctx) {
    const { session, client: of } = ctx.oidc
    if (!session?.accountId || !of) return undefined
    const grant = new ctx.oidc.provider.Grant({ accountId: session.accountId, clientId: of.clientId })
    grant.addOIDCScope('openid profile email')
    await grant.save()
    return grant
  },
})
provider.on('server_error', (_, error) => {
  console.error(error)
})

const page = (uid: string): string => `<!doctype html><html lang="en"><title>Company login</title>
<meta name="viewport" content="width=device-width">
<form method="post" action="/login/${uid}"><h1>Company login</h1>
<label>Account <input name="login" autofocus></label> <button>Sign in</button></form></html>`

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}

async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url ?? '/', issuer)
  const uid = /^\/login\/([\w-]+)$/.exec(url.pathname)?.[1]
  if (url.pathname === '/test/accounts') {
    const given = JSON.parse(await bodyOf(request)) as Readonly<Record<string, Account>>
    for (const [login, account] of Object.entries(given)) accounts.set(login, account)
    response.writeHead(204).end()
  } else if (uid !== undefined && request.method === 'POST') {
    const login = new URLSearchParams(await bodyOf(request)).get('login') ?? ''
    const account = accounts.get(login)
    await provider.interactionFinished(
      request,
      response,
      account
        ? { login: { accountId: account.sub }, consent: {} }
        : { error: 'access_denied', error_description: '<script>alert(1)</script>' },
    )
  } else if (url.pathname === '/favicon.ico') {
    response.writeHead(204).end()
  } else if (uid === undefined) {
    await provider.callback()(request, response)
  } else {
    response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(page(uid))
  }
}

server.on('request', (request, response) => {
  handle(request, response).catch((error: unknown) => {
    console.error(error)
    response.writeHead(500).end()
  })
})
process.stdin.on('end', () => process.exit(0)).resume()
console.log(JSON.stringify({ issuer }))
