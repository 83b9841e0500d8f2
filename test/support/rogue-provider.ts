import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'

type Json = Readonly<Record<string, unknown>>

/** What a rogue provider answers with; each attack changes one thing. */
export interface Behaviour {
  discovery: Json
  /** Claims of the ID token beside the good ones; `undefined` takes one away. */
  claims: Json
  header: Json
  /** In place of a signed ID token; `null` for none. */
  idToken: string | null | undefined
  /** Signs with a key that is not among its keys. */
  strangeKey: boolean
  userinfo: Json
  /** Answers a path in its own way; false leaves it to the provider. */
  answer: (path: string, request: IncomingMessage, response: ServerResponse) => boolean
}

export interface RogueProvider {
  readonly issuer: string
  behaviour: Behaviour
  /** Of the sign-in whose code is redeemed next, and the time there. */
  now: { nonce: string; seconds: number }
  readonly asked: string[]
  /** Good in every respect. */
  reset(): void
  /** Takes another key in place of its own. */
  rotate(): Promise<void>
  close(): Promise<void>
}

/** A provider of the test's own making, which keeps to nothing: its documents, keys and tokens are whatever is asked for. */
export async function startRogueProvider(clientId: string): Promise<RogueProvider> {
  let keyCount = 0
  const newKey = async () => {
    const pair = await generateKeyPair('RS256', { extractable: true })
    const kid = `key-${(keyCount += 1)}`
    return {
      kid,
      privateKey: pair.privateKey,
      jwk: { ...(await exportJWK(pair.publicKey)), kid, use: 'sig' },
    }
  }
  let key = await newKey()
  const strange = await newKey()
  const server = createServer()
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve)
  })
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
  const good = (): Behaviour => ({
    discovery: {},
    claims: {},
    header: {},
    idToken: undefined,
    strangeKey: false,
    userinfo: {},
    answer: () => false,
  })

  const idToken = async (): Promise<string> => {
    const { claims, header, strangeKey } = provider.behaviour
    const { nonce, seconds } = provider.now
    const all: Json = {
      iss: issuer,
      aud: clientId,
      sub: 'somebody',
      nonce,
      iat: seconds,
      exp: seconds + 300,
      preferred_username: 'somebody',
      groups: ['staff'],
      email: 'somebody@example.com',
      ...claims,
    }
    const kept = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined))
    return await new SignJWT(kept)
      .setProtectedHeader({ alg: 'RS256', kid: key.kid, ...header })
      .sign(strangeKey ? strange.privateKey : key.privateKey)
  }

  const documentOf = async (path: string): Promise<Json | undefined> => {
    const { behaviour } = provider
    switch (path) {
      case '/.well-known/openid-configuration':
        return {
          issuer,
          authorization_endpoint: `${issuer}authorize`,
          token_endpoint: `${issuer}token`,
          jwks_uri: `${issuer}jwks`,
          userinfo_endpoint: `${issuer}userinfo`,
          response_types_supported: ['code'],
          id_token_signing_alg_values_supported: ['RS256', 'HS256', 'none'],
          ...behaviour.discovery,
        }
      case '/jwks':
        return { keys: [key.jwk] }
      case '/token': {
        const given = behaviour.idToken === undefined ? await idToken() : behaviour.idToken
        return {
          access_token: 'an-access-token',
          token_type: 'Bearer',
          ...(given === null ? {} : { id_token: given }),
        }
      }
      case '/userinfo':
        return { sub: 'somebody', ...behaviour.userinfo }
      default:
        return undefined
    }
  }

  server.on('request', (request, response) => {
    const path = new URL(request.url ?? '/', issuer).pathname
    provider.asked.push(path)
    request.resume()
    if (provider.behaviour.answer(path, request, response)) return
    void documentOf(path).then((document) => {
      response.writeHead(document ? 200 : 404, { 'content-type': 'application/json' })
      response.end(JSON.stringify(document ?? {}))
    })
  })

  const provider: RogueProvider = {
    issuer,
    behaviour: good(),
    now: { nonce: '', seconds: 0 },
    asked: [],
    reset() {
      provider.behaviour = good()
      provider.asked.length = 0
    },
    async rotate() {
      key = await newKey()
    },
    async close() {
      const closed = new Promise<void>((resolve) => {
        server.close(() => resolve())
      })
      server.closeAllConnections()
      await closed
    },
  }
  return provider
}
