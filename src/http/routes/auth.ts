import { z } from 'zod'
import { levelIncludes } from '../../access/decide.ts'
import { refusal } from '../../access/refusal.ts'
import { CREDENTIAL_KINDS } from '../../identity/caller.ts'
import { LEVELS } from '../../identity/grant.ts'
import { err, ok } from '../../lib/result.ts'
import { Secret } from '../../lib/secret.ts'
import type { ControlPlaneParts } from '../control-plane.ts'
import { defineRoute, type Route } from '../define-route.ts'
import { recordLogins } from '../record-login.ts'
import { PASSWORD, TENANT, USERNAME } from './user-schemas.ts'

const ME = z.object({
  user_id: z.string().nullable().describe('null for a credential that is nobody in particular'),
  username: z.string(),
  email: z.string().nullable(),
  tenant_id: z.string(),
  admin: z.boolean(),
  level: z.enum(LEVELS),
  credential: z.object({
    id: z.string(),
    kind: z.enum(CREDENTIAL_KINDS),
    expires_at: z.int().nullable().describe('Seconds since 1970'),
  }),
})

const SIGNED_IN = z.object({ token: z.string(), expires_in: z.int() })

/** Signing in and out, the own password, and who one is. */
export function authRoutes({ people, audit, clock, observe }: ControlPlaneParts): readonly Route[] {
  const logins = recordLogins(audit, clock, observe)
  return [
    defineRoute(
      {
        method: 'POST',
        path: '/api/v1/auth/login',
        name: 'auth.login',
        summary: 'Signs a user in',
        access: 'public',
        body: z.strictObject({
          username: USERNAME.optional().describe('The name, or the e-mail address'),
          email: USERNAME.optional().describe('The same, under another name'),
          password: PASSWORD,
          tenant_id: TENANT.optional().describe('Where several tenants have such a user'),
        }),
        status: 200,
        description: 'A token (JWT) for `Authorization: Bearer`, and the seconds it is good for.',
        reply: SIGNED_IN,
        refusals: [
          'invalid_request',
          'login_failed',
          'too_many_requests',
          'body_too_large',
          'unsupported_media_type',
        ],
      },
      async ({ body, context }) => {
        const name = body.username ?? body.email
        if (name === undefined || (body.username !== undefined && body.email !== undefined)) {
          return err(refusal('invalid_request', 'http.body', 'send one of "username" and "email"'))
        }
        const answer = await people.login({
          name,
          password: new Secret(body.password),
          address: context.remoteAddress,
          signal: context.signal,
          ...(body.tenant_id === undefined ? {} : { tenant: body.tenant_id }),
        })
        if (!answer.ok) {
          logins.refused(context, answer.error.rule)
          return answer
        }
        const { token, expiresInS, known } = answer.value
        logins.allowed(context, known.caller)
        return ok({ status: 200, body: { token: token.reveal(), expires_in: expiresInS } })
      },
    ),
    defineRoute(
      {
        method: 'GET',
        path: '/api/v1/auth/me',
        name: 'auth.me',
        summary: 'Tells who the credential is',
        access: 'anyone',
        status: 200,
        description: 'The user, or the owner of the token.',
        reply: ME,
        refusals: [],
      },
      async ({ caller: { principal, credential, grant } }) => {
        const user = credential.kind === 'jwt' ? await people.users.find(principal.id) : undefined
        return ok({
          status: 200,
          body: {
            user_id: user?.id ?? null,
            username: user?.name ?? principal.name,
            email: user?.email ?? null,
            tenant_id: grant.tenant,
            admin: levelIncludes(grant.level, 'admin'),
            level: grant.level,
            credential: {
              id: credential.id,
              kind: credential.kind,
              expires_at: credential.expiresAt === null ? null : Math.floor(credential.expiresAt / 1_000),
            },
          },
        })
      },
    ),
    defineRoute(
      {
        method: 'POST',
        path: '/api/v1/auth/password',
        name: 'auth.password',
        summary: 'Changes the own password; ends every token (JWT) of the user, and answers with a fresh one',
        access: 'anyone',
        administers: true,
        body: z.strictObject({ current_password: PASSWORD, new_password: PASSWORD }),
        status: 200,
        description: 'A token in place of the one that the request was sent with.',
        reply: SIGNED_IN,
        refusals: ['invalid_request', 'invalid_arguments', 'conflict', 'too_many_requests'],
      },
      async ({ caller: { principal, credential }, body, context }) => {
        if (credential.kind !== 'jwt') {
          return err(
            refusal('conflict', 'auth.password', 'this credential did not come from a sign-in', {
              allowed: 'sign in first: POST /api/v1/auth/login',
            }),
          )
        }
        const changed = await people.changePassword({
          userId: principal.id,
          current: new Secret(body.current_password),
          next: new Secret(body.new_password),
          address: context.remoteAddress,
          signal: context.signal,
        })
        if (!changed.ok) return changed
        const { token, expiresInS } = changed.value
        const reply = { token: token.reveal(), expires_in: expiresInS }
        return ok({ status: 200, body: reply, target: principal.id })
      },
    ),
    defineRoute(
      {
        method: 'POST',
        path: '/api/v1/auth/logout',
        name: 'auth.logout',
        summary: 'Ends the token (JWT) that the request is sent with, and what was opened with it',
        access: 'anyone',
        administers: true,
        status: 204,
        description: 'Done.',
        reply: z.null(),
        refusals: ['conflict'],
      },
      async ({ caller: { credential } }) => {
        if (credential.kind !== 'jwt') {
          return err(
            refusal('conflict', 'auth.logout', 'this credential did not come from a sign-in', {
              allowed: 'remove the token: postern token remove, or DELETE /api/v1/admin/tokens/{id}',
            }),
          )
        }
        await people.logout(credential)
        return ok({ status: 204, body: null, target: credential.id })
      },
    ),
  ]
}
