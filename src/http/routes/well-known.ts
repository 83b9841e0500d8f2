import { z } from 'zod'
import { refusal } from '../../access/refusal.ts'
import { err, ok } from '../../lib/result.ts'
import type { ControlPlaneParts } from '../control-plane.ts'
import { defineRoute, type Route } from '../define-route.ts'
import { protectedResource } from '../resource-metadata.ts'

const METADATA = z.object({
  resource: z.url(),
  resource_name: z.string(),
  bearer_methods_supported: z.array(z.literal('header')),
})

/** RFC 7517 §5: public keys alone. */
const KEY_SET = z.object({
  keys: z.array(
    z.strictObject({
      kid: z.string(),
      use: z.literal('sig'),
      alg: z.enum(['RS256', 'EdDSA']),
      kty: z.enum(['RSA', 'OKP']),
      n: z.string().optional(),
      e: z.string().optional(),
      crv: z.string().optional(),
      x: z.string().optional(),
    }),
  ),
})

const REST = z.strictObject({ resource: z.string() })

/** RFC 9728 metadata, the answer of RFC 8414 for a server that issues no OAuth tokens, and the keys of JWTs. */
export function wellKnownRoutes({ serverInfo, people }: ControlPlaneParts): readonly Route[] {
  const about = {
    method: 'GET',
    access: 'public',
    status: 200,
    description: 'RFC 9728 metadata of a protected resource.',
    reply: METADATA,
    refusals: ['not_found'],
  } as const
  const metadata = (baseUrl: string, tail: string) => {
    const resource = protectedResource(baseUrl, tail)
    if (resource === null)
      return err(refusal('not_found', 'http.path', 'there is no such protected resource'))
    // RFC 6750 §2.2 and §2.3 put tokens where logs and caches see them: only the header is taken.
    const body = { resource, resource_name: serverInfo.name, bearer_methods_supported: ['header'] }
    return ok({ status: 200, body })
  }
  const noServer = () =>
    err(refusal('not_found', 'http.path', 'no OAuth authorization server is configured: use a token'))
  return [
    defineRoute(
      {
        ...about,
        path: '/.well-known/oauth-protected-resource',
        name: 'metadata.resource',
        summary: 'Describes the MCP endpoint as a protected resource',
      },
      ({ context }) => metadata(context.baseUrl, ''),
    ),
    defineRoute(
      {
        ...about,
        path: '/.well-known/oauth-protected-resource/{resource}',
        takesRest: true,
        name: 'metadata.resource.path',
        summary: 'Describes the MCP endpoint of a path as a protected resource',
        params: REST,
      },
      ({ context, params }) => metadata(context.baseUrl, `/${params.resource}`),
    ),
    defineRoute(
      {
        ...about,
        path: '/.well-known/oauth-authorization-server',
        name: 'metadata.issuer',
        summary: 'Not found: no authorization server is configured',
        description: 'Never: there is no authorization server.',
        reply: z.never(),
      },
      noServer,
    ),
    defineRoute(
      {
        ...about,
        path: '/.well-known/oauth-authorization-server/{resource}',
        takesRest: true,
        name: 'metadata.issuer.path',
        summary: 'Not found: no authorization server is configured',
        description: 'Never: there is no authorization server.',
        reply: z.never(),
        params: REST,
      },
      noServer,
    ),
    defineRoute(
      {
        method: 'GET',
        path: '/.well-known/jwks.json',
        name: 'metadata.keys',
        summary: 'The public keys with which others can verify the tokens (JWT) of people',
        access: 'public',
        status: 200,
        description: 'A JWK set (RFC 7517 §5); empty with HS256, whose secret is for nobody.',
        reply: KEY_SET,
        refusals: [],
      },
      () =>
        ok({
          status: 200,
          body: { keys: people.publicKeys() },
          // A copy that is used without asking again would go on trusting a key that was thrown away.
          headers: { 'cache-control': 'no-cache' },
        }),
    ),
  ]
}
