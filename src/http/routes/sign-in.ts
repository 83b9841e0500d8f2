import { z } from 'zod'
import { type Refusal, refusal } from '../../access/refusal.ts'
import type { SignedIn } from '../../identity/oidc/sign-in.ts'
import { transactionId } from '../../identity/oidc/transactions.ts'
import { ok, type Result } from '../../lib/result.ts'
import type { ControlContext } from '../control-context.ts'
import type { ControlPlaneParts } from '../control-plane.ts'
import { defineRoute, type Route, type RouteReply } from '../define-route.ts'
import { belongsInLog, faultToWire, refusalToWire, type WireError } from '../error-to-wire.ts'
import { recordLogins } from '../record-login.ts'
import { resourceMetadataUrl } from '../resource-metadata.ts'
import { PAGE_HEADERS, PAGE_TYPE } from '../sign-in/page.ts'
import { refusedPage } from '../sign-in/refused-page.ts'
import { returnPath } from '../sign-in/return-path.ts'
import { signedInPage } from '../sign-in/signed-in-page.ts'
import { transactionCookies } from '../sign-in/transaction-cookies.ts'

const PATH = '/api/v1/auth/oidc'

const PROVIDER = z.strictObject({ provider: z.string().min(1).max(64) })

const REFUSALS = [
  'invalid_request',
  'sign_in_failed',
  'sign_in_refused',
  'not_found',
  'too_many_requests',
] as const

/** Characters of what a provider sends back; none needs a tenth of it. */
const LONGEST_ANSWER = 4_096

/** Sign-in with a provider: away to it, and back. All of it is for strangers, so each step is bounded and recorded. */
export function signInRoutes({
  people,
  audit,
  clock,
  observe,
  serverInfo,
}: ControlPlaneParts): readonly Route[] {
  const { signIn } = people
  const logins = recordLogins(audit, clock, observe, 'auth.oidc')

  /** A refusal or a fault as the client reads it: a page in a browser, JSON everywhere else. Recorded either way. */
  const refuse = (
    why: { readonly refused: Refusal } | { readonly thrown: unknown },
    provider: string,
    headers: Headers,
    context: ControlContext,
    cookies: readonly string[],
  ): Result<RouteReply, Refusal> => {
    const wire = wireOf(why, provider, context)
    const { body } = wire
    context.note({ code: body.code })
    if ('thrown' in why && belongsInLog(why.thrown)) {
      observe({ kind: 'fault', where: 'http.sign_in', error: why.thrown, requestId: context.requestId })
    }
    const known = signIn.list().some(({ name }) => name === provider)
    logins.refused(
      context,
      'refused' in why ? why.refused.rule : `oidc.${body.code}`,
      known ? provider : undefined,
    )
    if (!wantsPage(headers)) return ok({ status: wire.status, body, headers: wire.headers, cookies })
    const begin = known ? `${context.baseUrl}${PATH}/${provider}` : null
    return ok({
      status: wire.status,
      body: refusedPage(body, serverInfo.name, begin),
      contentType: PAGE_TYPE,
      headers: { ...wire.headers, ...PAGE_HEADERS },
      cookies,
    })
  }

  return [
    defineRoute(
      {
        method: 'GET',
        path: PATH,
        name: 'auth.oidc.list',
        summary: 'Lists the providers that people sign in with',
        access: 'public',
        status: 200,
        description: 'The providers, and where signing in with each begins.',
        reply: z.object({
          providers: z.array(z.object({ name: z.string(), title: z.string(), start: z.url() })),
        }),
        refusals: [],
      },
      ({ context }) =>
        ok({
          status: 200,
          body: {
            providers: signIn
              .list()
              .map(({ name, title }) => ({ name, title, start: `${context.baseUrl}${PATH}/${name}` })),
          },
        }),
    ),
    defineRoute(
      {
        method: 'GET',
        path: `${PATH}/{provider}`,
        name: 'auth.oidc.begin',
        summary: 'Begins a sign-in: sends the browser to the provider',
        access: 'public',
        params: PROVIDER,
        query: z.object({
          return_to: z.string().optional().describe('A path of this server that the last page links to'),
        }),
        status: 302,
        description:
          'The address of the provider in `Location`, and a cookie that binds the sign-in to this browser.',
        reply: z.string(),
        replyType: 'text/plain',
        refusals: REFUSALS,
      },
      async ({ params: { provider }, search, headers, context }) => {
        const wrong = wrongBeginning(search, headers)
        if (wrong) return refuse({ refused: wrong }, provider, headers, context, [])
        try {
          const begun = await signIn.begin(provider, {
            address: context.remoteAddress,
            redirectUri: redirectUri(provider, context),
            returnTo: returnPath(search.get('return_to')),
          })
          if (!begun.ok) return refuse({ refused: begun.error }, provider, headers, context, [])
          const { id, sealed, location } = begun.value
          const cookies = transactionCookies(headers.get('cookie'), context.baseUrl)
          return ok({
            status: 302,
            body: 'The sign-in goes on at the provider.\n',
            contentType: 'text/plain; charset=utf-8',
            headers: { location, 'referrer-policy': 'no-referrer' },
            cookies: cookies.keep(id, sealed),
          })
        } catch (thrown) {
          return refuse({ thrown }, provider, headers, context, [])
        }
      },
    ),
    defineRoute(
      {
        method: 'GET',
        path: `${PATH}/{provider}/callback`,
        name: 'auth.oidc.end',
        summary: 'Ends a sign-in: takes the answer of the provider',
        access: 'public',
        params: PROVIDER,
        query: z.object({
          code: z.string().optional(),
          state: z.string().optional(),
          iss: z.string().optional().describe('RFC 9207'),
          error: z.string().optional(),
        }),
        status: 200,
        description: 'A token (JWT) for `Authorization: Bearer`, and the seconds it is good for.',
        reply: z.object({ token: z.string(), expires_in: z.int() }),
        otherReplies: { 'text/html': 'A page for a person, for an `Accept` that names this type' },
        refusals: REFUSALS,
      },
      async ({ params: { provider }, search, headers, context }) => {
        const cookies = transactionCookies(headers.get('cookie'), context.baseUrl)
        const state = search.get('state')
        // Whatever comes of it, it is over.
        const over = state === null ? [] : [cookies.forget(transactionId(state))]
        const wrong = wrongAnswer(search)
        if (wrong) return refuse({ refused: wrong }, provider, headers, context, over)
        try {
          const ended = await signIn.complete(provider, {
            address: context.remoteAddress,
            redirectUri: redirectUri(provider, context),
            answer: { state, code: search.get('code'), error: search.get('error'), iss: search.get('iss') },
            sealedOf: (id) => cookies.sealedOf(id),
          })
          if (!ended.ok) return refuse({ refused: ended.error }, provider, headers, context, over)
          logins.allowed(context, ended.value.jwt.known.caller, provider)
          return ok({ ...welcome(ended.value, headers, context, serverInfo.name), cookies: over })
        } catch (thrown) {
          return refuse({ thrown }, provider, headers, context, over)
        }
      },
    ),
  ]
}

function welcome(
  signedIn: SignedIn,
  headers: Headers,
  { baseUrl }: ControlContext,
  name: string,
): RouteReply {
  const { token, expiresInS } = signedIn.jwt
  if (!wantsPage(headers)) {
    return {
      status: 200,
      body: { token: token.reveal(), expires_in: expiresInS },
      headers: { vary: 'accept' },
    }
  }
  return {
    status: 200,
    body: signedInPage(signedIn, { name, baseUrl }),
    contentType: PAGE_TYPE,
    headers: PAGE_HEADERS,
  }
}

/** Every browser names the type when a person goes somewhere; programs that want JSON do not. */
const wantsPage = (headers: Headers): boolean => /\btext\/html\b/i.test(headers.get('accept') ?? '')

const redirectUri = (provider: string, { baseUrl }: ControlContext): string =>
  `${baseUrl}${PATH}/${encodeURIComponent(provider)}/callback`

function wrongBeginning(search: URLSearchParams, headers: Headers): Refusal | undefined {
  const isPage = headers.get('sec-fetch-mode') === 'navigate' && headers.get('sec-fetch-dest') === 'document'
  if (headers.get('sec-fetch-site') === 'cross-site' && !isPage) {
    // A picture or a frame of another site's page, which would use up what this address may begin.
    return refusal('sign_in_failed', 'oidc.navigation', 'a sign-in begins by going to this address', {
      allowed: 'open it in the browser',
    })
  }
  const given = search.getAll('return_to')
  if (given.length === 0 || (given.length === 1 && returnPath(given[0] ?? null) !== null)) return undefined
  return refusal('invalid_request', 'oidc.return_to', 'return_to is not a path of this server', {
    allowed: 'one that begins with a single /',
  })
}

function wrongAnswer(search: URLSearchParams): Refusal | undefined {
  const odd = ['code', 'state', 'iss', 'error'].some((name) => {
    const given = search.getAll(name)
    return given.length > 1 || (given[0] ?? '').length > LONGEST_ANSWER
  })
  if (!odd) return undefined
  return refusal('sign_in_failed', 'oidc.answer', 'the answer of the provider is not as it should be', {
    allowed: 'begin again',
  })
}

function wireOf(
  why: { readonly refused: Refusal } | { readonly thrown: unknown },
  provider: string,
  { requestId, baseUrl, credentialShown }: ControlContext,
): WireError {
  const wire = {
    requestId,
    credentialShown,
    resourceMetadata: resourceMetadataUrl(baseUrl, `${PATH}/${provider}`),
  }
  return 'refused' in why ? refusalToWire(why.refused, wire) : faultToWire(why.thrown, wire)
}
