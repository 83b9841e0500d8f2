import { z } from 'zod'
import { entryJson, verificationJson } from '../../audit/json.ts'
import { ok } from '../../lib/result.ts'
import type { ControlPlaneParts } from '../control-plane.ts'
import { defineRoute, type Route } from '../define-route.ts'
import { soleTenant } from '../within-grant.ts'

const KINDS = ['authentication', 'decision', 'execution', 'administration', 'system'] as const
const OUTCOMES = ['allow', 'refuse', 'done', 'failed'] as const

/** Times go over the wire as ISO 8601 with an offset. */
const TIME = z.iso.datetime({ offset: true })
const WORD = z.string().min(1).max(256)

const SEARCH = z.strictObject({
  who: WORD.optional().describe('The principal'),
  credential: WORD.optional().describe('The id of the credential'),
  tool: WORD.optional().describe('A tool, or an act such as token.add'),
  target: WORD.optional().describe('A database, a server, or what was administered'),
  kind: z.enum(KINDS).optional(),
  outcome: z.enum(OUTCOMES).optional(),
  since: TIME.optional().describe('From this time on'),
  until: TIME.optional().describe('Before this time'),
  cursor: z
    .string()
    .regex(/^[1-9]\d{0,15}$/, 'must be the next_cursor of a page')
    .optional(),
  limit: z
    .string()
    .regex(/^(?:[1-9]\d{0,2}|1000)$/, 'must be a number from 1 to 1000')
    .optional()
    .describe('100 when absent'),
})

const ENTRY = z.object({
  seq: z.int(),
  at: z.string(),
  kind: z.enum(KINDS),
  outcome: z.enum(OUTCOMES),
  request_id: z.string().optional(),
  who: z.string().optional(),
  credential_id: z.string().optional(),
  tenant: z.string().optional(),
  wire: z.string().optional(),
  tool: z.string().optional(),
  target: z.string().optional(),
  rule: z.string().optional(),
  duration_ms: z.number().optional(),
  row_count: z.int().optional(),
  remote_address: z.string().optional(),
  count: z.int().optional(),
  hash: z.string(),
})

const REPORT = z.object({
  intact: z.boolean(),
  checked: z.int(),
  floor_seq: z.int(),
  head_seq: z.int(),
  head_hash: z.string(),
  first_bad: z.object({ seq: z.int(), problem: z.string(), message: z.string() }).optional(),
})

/** Reading the record, and proving that nobody changed it. */
export function auditRoutes({ audit }: ControlPlaneParts): readonly Route[] {
  return [
    defineRoute(
      {
        method: 'GET',
        path: '/api/v1/admin/audit',
        name: 'audit.search',
        summary: 'Searches the audit record, newest first',
        access: 'admin',
        query: SEARCH,
        status: 200,
        description: 'One page of entries; `next_cursor` leads to the next one.',
        reply: z.object({ entries: z.array(ENTRY), next_cursor: z.string().nullable() }),
        refusals: ['level_too_low'],
      },
      async ({ caller, query }) => {
        const filter = defined({
          tenant: soleTenant(caller),
          principal: query.who,
          credentialId: query.credential,
          action: query.tool,
          target: query.target,
          kind: query.kind,
          outcome: query.outcome,
          since: query.since === undefined ? undefined : Date.parse(query.since),
          until: query.until === undefined ? undefined : Date.parse(query.until),
          beforeSeq: query.cursor === undefined ? undefined : Number(query.cursor),
        })
        const page = await audit.search(filter, Number(query.limit ?? 100))
        const next_cursor = page.next === undefined ? null : String(page.next)
        return ok({ status: 200, body: { entries: page.entries.map(entryJson), next_cursor } })
      },
    ),
    defineRoute(
      {
        method: 'GET',
        path: '/api/v1/admin/audit/verify',
        name: 'audit.verify',
        summary: 'Proves that no entry was altered, removed or inserted',
        access: 'admin',
        status: 200,
        description: 'What was found; `first_bad` names the first entry that does not fit.',
        reply: REPORT,
        refusals: ['level_too_low'],
      },
      async () => {
        return ok({ status: 200, body: verificationJson(await audit.verify()) })
      },
    ),
  ]
}

type Defined<T> = { [K in keyof T]?: Exclude<T[K], undefined> }

/** Leaves out what is `undefined`, so that an absent field is absent and not null. */
function defined<T extends object>(fields: T): Defined<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Defined<T>
}
