import type { ControlPlaneParts } from '../control-plane.ts'
import type { Route } from '../define-route.ts'
import { accessRoutes } from './access.ts'
import { authRoutes } from './auth.ts'
import { auditRoutes } from './audit.ts'
import { healthRoutes } from './health.ts'
import { metricsRoutes } from './metrics.ts'
import { openApiRoutes } from './openapi.ts'
import { queryRoutes } from './query.ts'
import { serverCredentialRoutes } from './server-credentials.ts'
import { serverRoutes } from './servers.ts'
import { signInRoutes } from './sign-in.ts'
import { tokenRoutes } from './tokens.ts'
import { tenantRoutes } from './tenants.ts'
import { toolRoutes } from './tools.ts'
import { userRoutes } from './users.ts'
import { wellKnownRoutes } from './well-known.ts'

/** The whole route table: what is served, what OpenAPI describes, and what `docs/http.md` lists. */
export function controlRoutes(parts: ControlPlaneParts): readonly Route[] {
  const routes = [
    ...healthRoutes(parts),
    ...wellKnownRoutes(parts),
    ...toolRoutes(parts),
    ...queryRoutes(parts),
    ...accessRoutes(parts),
    ...authRoutes(parts),
    ...signInRoutes(parts),
    ...tokenRoutes(parts),
    ...userRoutes(parts),
    ...tenantRoutes(parts),
    ...serverRoutes(parts),
    ...serverCredentialRoutes(parts),
    ...auditRoutes(parts),
    ...metricsRoutes(parts),
  ]
  return [...routes, ...openApiRoutes(parts, routes)]
}
