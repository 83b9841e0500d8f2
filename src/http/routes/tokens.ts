import { z } from 'zod'
import { type Refusal, refusal } from '../../access/refusal.ts'
import type { Caller } from '../../identity/caller.ts'
import { LEVELS } from '../../identity/grant.ts'
import { noSuchToken } from '../../identity/no-such-token.ts'
import { issuedTokenJson, listedTokenJson } from '../../identity/token-json.ts'
import type { NewToken, TokenRecord, Tokens } from '../../identity/tokens.ts'
import { parseDuration, parseExpiry } from '../../lib/duration.ts'
import { err, ok, type Result } from '../../lib/result.ts'
import type { ControlPlaneParts } from '../control-plane.ts'
import { defineRoute, type Route } from '../define-route.ts'
import { administersTenant, refuseBeyondGrant } from '../within-grant.ts'

const NAMES = z.union([z.literal('all'), z.array(z.string().min(1).max(128)).max(256)])

const TOKEN = {
  id: z.string(),
  note: z.string(),
  owner: z.string(),
  level: z.enum(LEVELS),
  tenant: z.string(),
  databases: NAMES,
  servers: NAMES,
  scopes: NAMES,
  created_at: z.string().nullable(),
  expires_at: z.string().nullable(),
  hash_prefix: z.string(),
}

const LISTED = z.object({
  ...TOKEN,
  status: z.enum(['valid', 'expired', 'revoked']),
  last_used_at: z.string().nullable(),
  rotation_due: z.boolean(),
  source: z.enum(['store', 'token-file', 'config']),
})

const ISSUED = z.object({ ...TOKEN, token: z.string().describe('Shown this once') })

const NEW_TOKEN = z.strictObject({
  note: z.string().min(1).max(200).describe('What it is for'),
  owner: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .describe('The person or service that has it; the note when absent'),
  level: z.enum(LEVELS).optional().describe('read-only when absent'),
  expiry: z
    .string()
    .max(16)
    .optional()
    .describe('12h, 30d, 2w, 1y or never; 90d, 30d or 14d by level when absent'),
  tenant: z.string().min(1).max(128).optional(),
  databases: NAMES.optional().describe('The first one is its default'),
  servers: NAMES.optional(),
  scopes: NAMES.optional(),
  into: z.enum(['store', 'token-file']).optional().describe('Where it is kept; the store when absent'),
})

/** Trimmed as the search for a token does it: what is checked here and what is found there must be one name. */
const ID = z.strictObject({ id: z.string().trim().min(1).max(128) })

const ADMIN = { access: 'admin', refusals: ['level_too_low', 'not_found', 'conflict'] } as const

/** Administration of tokens. A token's value is in the reply that issues it and nowhere else. */
export function tokenRoutes({ tokens }: ControlPlaneParts): readonly Route[] {
  return [
    defineRoute(
      {
        ...ADMIN,
        method: 'GET',
        path: '/api/v1/admin/tokens',
        name: 'token.list',
        summary: 'Lists tokens of every source, newest first',
        status: 200,
        description: 'The tokens, without their values.',
        reply: z.object({ tokens: z.array(LISTED) }),
      },
      async ({ caller }) => {
        const records = (await tokens.list()).filter(({ tenant }) => administersTenant(caller, tenant))
        return ok({ status: 200, body: { tokens: records.map(listedTokenJson) } })
      },
    ),
    defineRoute(
      {
        ...ADMIN,
        method: 'POST',
        path: '/api/v1/admin/tokens',
        name: 'token.add',
        summary: 'Issues a token',
        administers: true,
        body: NEW_TOKEN,
        status: 201,
        description: 'The token with its value, which is shown this once.',
        reply: ISSUED,
        refusals: [...ADMIN.refusals, 'tenant_not_allowed', 'database_not_allowed', 'scope_missing'],
      },
      async ({ caller, body }) => {
        const input = newToken(caller, body)
        if (!input.ok) return input
        const issued = await tokens.add(input.value, body.into === undefined ? {} : { into: body.into })
        if (!issued.ok) return issued
        return ok({ status: 201, body: issuedTokenJson(issued.value), target: issued.value.record.id })
      },
    ),
    defineRoute(
      {
        ...ADMIN,
        method: 'POST',
        path: '/api/v1/admin/tokens/{id}/rotate',
        name: 'token.rotate',
        summary: 'Issues a successor and ends the token, at once or after a grace period',
        administers: true,
        params: ID,
        body: z.strictObject({
          grace: z.string().max(16).optional().describe('How long the old token still works, such as 24h'),
        }),
        status: 201,
        description: 'The successor with its value, and the predecessor.',
        reply: z.object({ ...ISSUED.shape, predecessor: LISTED }),
      },
      async ({ caller, params, body }) => {
        const grace = body.grace === undefined ? ok(0) : parseDuration(body.grace)
        if (!grace.ok) return err(refusal('invalid_request', 'http.body', `field "grace": ${grace.error}`))
        const known = await find(tokens, caller, params.id)
        if (!known) return err(noSuchToken(params.id))
        // The successor has the same grant, and its value goes to the caller.
        const beyond = refuseBeyondGrant(caller, known)
        if (beyond) return err(beyond)
        const rotated = await tokens.rotate(params.id, grace.value)
        if (!rotated.ok) return rotated
        const body_ = {
          ...issuedTokenJson(rotated.value),
          predecessor: listedTokenJson(rotated.value.predecessor),
        }
        return ok({ status: 201, body: body_, target: rotated.value.predecessor.id })
      },
    ),
    defineRoute(
      {
        ...ADMIN,
        method: 'DELETE',
        path: '/api/v1/admin/tokens/{id}',
        name: 'token.remove',
        summary: 'Ends a token, named by its id or at least 8 digits of its hash',
        administers: true,
        params: ID,
        status: 200,
        description: 'The token that was ended.',
        reply: LISTED,
      },
      async ({ caller, params }) => {
        const removed = (await mayRemove(tokens, caller, params.id))
          ? await tokens.remove(params.id)
          : err(noSuchToken(params.id))
        if (!removed.ok) return removed
        return ok({ status: 200, body: listedTokenJson(removed.value), target: removed.value.id })
      },
    ),
  ]
}

function newToken(caller: Caller, body: z.output<typeof NEW_TOKEN>): Result<NewToken, Refusal> {
  const expiry = body.expiry === undefined ? undefined : parseExpiry(body.expiry)
  if (expiry?.ok === false) {
    return err(refusal('invalid_request', 'token.expiry', `field "expiry": ${expiry.error}`))
  }
  const { grant } = caller
  const reach = {
    tenant: body.tenant ?? grant.tenant,
    databases: body.databases ?? grant.databases,
    servers: body.servers ?? grant.servers,
    scopes: body.scopes ?? grant.scopes,
  }
  const beyond = refuseBeyondGrant(caller, reach)
  if (beyond) return err(beyond)
  return ok({
    note: body.note,
    ...(body.owner === undefined ? {} : { owner: body.owner }),
    ...(body.level === undefined ? {} : { level: body.level }),
    ...(expiry === undefined ? {} : { expiresInMs: expiry.value }),
    ...reach,
  })
}

async function find(tokens: Tokens, caller: Caller, id: string): Promise<TokenRecord | undefined> {
  return (await tokens.find(id)).find((one) => one.id === id && administersTenant(caller, one.tenant))
}

/** An administrator of one tenant must not end, or learn of, a token of another: both look like none. */
async function mayRemove(tokens: Tokens, caller: Caller, idOrPrefix: string): Promise<boolean> {
  const meant = await tokens.find(idOrPrefix)
  return meant.length > 0 && meant.every(({ tenant }) => administersTenant(caller, tenant))
}
