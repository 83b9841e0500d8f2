import { z } from 'zod'
import { refusal } from '../../access/refusal.ts'
import { err, ok } from '../../lib/result.ts'
import type { ControlPlaneParts } from '../control-plane.ts'
import { defineRoute, type Route } from '../define-route.ts'
import { soleTenant } from '../within-grant.ts'

/** For a credential of a scraper, which need not be an administrator. */
export const METRICS_SCOPE = 'metrics:read'

/**
 * The numbers of this process, for Prometheus and whatever reads its format; whatever `Accept` says, as RFC 9110
 * §12.5.1 allows.
 */
export function metricsRoutes({ metrics }: ControlPlaneParts): readonly Route[] {
  return [
    defineRoute(
      {
        method: 'GET',
        path: '/metrics',
        name: 'metrics.read',
        summary: 'Metrics in the Prometheus text format',
        access: 'admin',
        orScope: METRICS_SCOPE,
        status: 200,
        description: 'One line for each value; `docs/observability.md` lists them.',
        reply: z.string(),
        replyType: 'text/plain',
        refusals: ['level_too_low', 'tenant_not_allowed', 'not_found'],
      },
      async ({ caller }) => {
        // Names of tokens, servers and databases of every tenant stand in there.
        if (soleTenant(caller) !== undefined) {
          const message = 'metrics are of all tenants: a credential of the tenant default is needed'
          return err(refusal('tenant_not_allowed', 'tenant', message))
        }
        if (metrics === null) {
          return err(refusal('not_found', 'metrics', 'metrics are switched off: set metrics.enabled'))
        }
        const { contentType, text } = await metrics.read()
        return ok({ status: 200, body: text, contentType })
      },
    ),
  ]
}
