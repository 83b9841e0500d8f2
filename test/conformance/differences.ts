import type { Requirements } from '../support/conformance.ts'
import type { UpstreamName } from '../support/fixture-gateway.ts'

/** A scenario of the suite that ends otherwise for a server of another revision than the suite speaks. */
export interface Difference {
  readonly suite: Requirements
  readonly servers: readonly UpstreamName[]
  readonly scenario: string
  /** Ids of the checks that do not pass; none: nothing is judged, because it does not come to it. */
  readonly checks: readonly string[]
  /** As docs/translation.md says it. */
  readonly why: string
}

const BEFORE_ELICITATION = ['sse-2024-11-05', 'http-2025-03-26'] as const
const BEFORE_CHOICES = [...BEFORE_ELICITATION, 'http-2025-06-18'] as const
const SESSIONS = [...BEFORE_CHOICES, 'http-2025-11-25', 'stdio-2025-11-25'] as const
const SESSIONS_WITH_ELICITATION = ['http-2025-06-18', 'http-2025-11-25', 'stdio-2025-11-25'] as const

const NO_ELICITATION =
  'A server of a revision before 2025-06-18 cannot ask a person: it has no such tool or prompt.'

/** What the suite finds otherwise through Postern, and why; everything else it finds as it does directly. */
export const DIFFERENCES: readonly Difference[] = [
  {
    suite: '2025-11-25',
    servers: ['sse-2024-11-05'],
    scenario: 'tools-call-audio',
    checks: ['tools-call-audio'],
    why: 'There is no sound in 2024-11-05: the server has no such tool.',
  },
  {
    suite: '2025-11-25',
    servers: BEFORE_ELICITATION,
    scenario: 'tools-call-elicitation',
    checks: ['tools-call-elicitation'],
    why: NO_ELICITATION,
  },
  ...(['elicitation-sep1034', 'elicitation-sep1330'] as const).map((name): Difference => ({
    suite: '2025-11-25',
    servers: BEFORE_CHOICES,
    scenario: name === 'elicitation-sep1034' ? `${name}-defaults` : `${name}-enums`,
    checks: [`${name}-general`],
    why: 'Defaults of every kind and titled choices came with 2025-11-25: the server has no such tool.',
  })),
  {
    suite: '2025-11-25',
    servers: [...BEFORE_CHOICES, 'stdio-2025-11-25', 'http-2026-07-28', 'stdio-2026-07-28'],
    scenario: 'server-sse-polling',
    checks: [],
    why: 'Only over Streamable HTTP of 2025-11-25 can a server end a stream before it has answered; any other answers.',
  },
  {
    suite: '2026-07-28',
    servers: ['sse-2024-11-05'],
    scenario: 'tools-call-audio',
    checks: ['tools-call-audio'],
    why: 'There is no sound in 2024-11-05: the server has no such tool.',
  },
  ...(
    [
      ['basic-elicitation', 'elicitation-incomplete'],
      ['ignore-extra-params', 'ignore-unexpected-params'],
      ['missing-input-response', 'missing-response-rerequests'],
      ['multi-round', 'multi-round-r1'],
      ['multiple-input-requests', 'multiple-inputs-incomplete'],
      ['non-tool-request', 'non-tool-incomplete'],
      ['request-state', 'request-state-incomplete'],
      ['result-type', 'result-type-included'],
      ['tampered-state', 'reject-tampered-state'],
    ] as const
  ).map(([scenario, check]): Difference => ({
    suite: '2026-07-28',
    servers: BEFORE_ELICITATION,
    scenario: `input-required-result-${scenario}`,
    checks: [`sep-2322-${check}`],
    why: NO_ELICITATION,
  })),
  {
    suite: '2026-07-28',
    servers: SESSIONS_WITH_ELICITATION,
    scenario: 'input-required-result-basic-elicitation',
    checks: ['sep-2322-elicitation-incomplete'],
    why: 'A server with sessions has no names for its questions: Postern gives them names, and the suite looks for one of its own.',
  },
  {
    suite: '2026-07-28',
    servers: SESSIONS_WITH_ELICITATION,
    scenario: 'input-required-result-ignore-extra-params',
    checks: ['sep-2322-ignore-unexpected-params'],
    why: 'The suite answers before it was asked. A question that has no name yet cannot have been answered: it is put.',
  },
  {
    suite: '2026-07-28',
    servers: SESSIONS,
    scenario: 'server-stateless',
    checks: ['sep-2575-missing-capability-http-400', 'sep-2575-server-rejects-undeclared-capability'],
    why: 'A server with sessions has no error -32021: it knows from the beginning what its client can, and says so in its result.',
  },
  {
    suite: '2026-07-28',
    servers: BEFORE_ELICITATION,
    scenario: 'server-stateless',
    checks: ['sep-2575-http-server-no-independent-requests-on-stream'],
    why: NO_ELICITATION,
  },
  {
    suite: '2026-07-28',
    servers: SESSIONS,
    scenario: 'http-custom-header-server-validation',
    checks: ['sep-2243-server-reject-param-mismatch', 'sep-2243-server-validate-param-match'],
    why: 'Only a server of 2026-07-28 asks for its `Mcp-Param-*` headers: for any other, those that come are checked, and none is missed.',
  },
]
