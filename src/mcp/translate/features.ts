import type { Revision } from '../../lib/revisions.ts'

/** Something that not every revision has. */
export interface Feature {
  readonly since: Revision
  /** The last revision that has it; absent while the newest one does. */
  readonly until?: Revision
}

/**
 * What differs between the revisions, as far as a client of one may see a server of another. `docs/translation.md`
 * has a row for each, which says what is done; a test compares the two.
 */
export const FEATURES = {
  audio: { since: '2025-03-26' },
  resource_link: { since: '2025-06-18' },
  structured_content: { since: '2025-06-18' },
  structured_content_of_any_type: { since: '2026-07-28' },
  titles: { since: '2025-06-18' },
  tool_annotations: { since: '2025-03-26' },
  last_modified: { since: '2025-06-18' },
  icons: { since: '2025-11-25' },
  progress_message: { since: '2025-03-26' },
  completion_context: { since: '2025-06-18' },
  sampling_parts: { since: '2025-11-25' },
  sampling_tools: { since: '2025-11-25' },
  elicitation: { since: '2025-06-18' },
  elicitation_url: { since: '2025-11-25' },
  elicitation_choices: { since: '2025-11-25' },
  elicitation_defaults: { since: '2025-11-25' },
  elicitation_complete: { since: '2025-11-25', until: '2025-11-25' },
  url_elicitation_error: { since: '2025-11-25', until: '2025-11-25' },
  tasks: { since: '2025-11-25', until: '2025-11-25' },
  extensions: { since: '2026-07-28' },
  server_requests: { since: '2024-11-05', until: '2025-11-25' },
  input_required: { since: '2026-07-28' },
  roots_list_changed: { since: '2024-11-05', until: '2025-11-25' },
  ping: { since: '2024-11-05', until: '2025-11-25' },
  set_level: { since: '2024-11-05', until: '2025-11-25' },
  log_level_of_request: { since: '2026-07-28' },
  resource_subscribe: { since: '2024-11-05', until: '2025-11-25' },
  listen: { since: '2026-07-28' },
  cancelled_notification: { since: '2024-11-05', until: '2025-11-25' },
  resumption: { since: '2025-03-26', until: '2025-11-25' },
  priming_event: { since: '2025-11-25', until: '2025-11-25' },
  batches: { since: '2025-03-26', until: '2025-03-26' },
  sessions: { since: '2024-11-05', until: '2025-11-25' },
  caching: { since: '2026-07-28' },
  result_type: { since: '2026-07-28' },
  mirrored_headers: { since: '2026-07-28' },
  resource_not_found: { since: '2024-11-05', until: '2025-11-25' },
  method_not_found_status: { since: '2026-07-28' },
} as const satisfies Readonly<Record<string, Feature>>

export type FeatureName = keyof typeof FEATURES

/** Revisions are dates: the order of their texts is the order of their times. */
export function has(revision: Revision, name: FeatureName): boolean {
  const feature: Feature = FEATURES[name]
  return revision >= feature.since && (feature.until === undefined || revision <= feature.until)
}
