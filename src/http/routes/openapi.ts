import { z } from 'zod'
import { ok } from '../../lib/result.ts'
import type { ControlPlaneParts } from '../control-plane.ts'
import { defineRoute, type Route } from '../define-route.ts'
import { openApiDocument } from '../openapi.ts'

/** The description of all REST routes, this one included. */
export function openApiRoutes({ serverInfo }: ControlPlaneParts, others: readonly Route[]): readonly Route[] {
  const routes: Route[] = [
    ...others,
    defineRoute(
      {
        method: 'GET',
        path: '/api/v1/openapi.json',
        name: 'openapi',
        summary: 'Describes the REST routes as OpenAPI 3.1',
        access: 'anyone',
        status: 200,
        description: 'The OpenAPI document.',
        reply: z.looseObject({ openapi: z.string() }),
        refusals: [],
      },
      ({ context }) => ok({ status: 200, body: { ...document(), servers: [{ url: context.baseUrl }] } }),
    ),
  ]
  let made: ReturnType<typeof openApiDocument> | undefined
  const document = (): ReturnType<typeof openApiDocument> => (made ??= openApiDocument(routes, serverInfo))
  return routes.slice(-1)
}
