/** The revision without sessions: every request carries its version and capabilities itself. */
export const STATELESS_REVISION = '2026-07-28'

/** Revisions that begin with `initialize`, newest first. */
export const SESSION_REVISIONS = ['2025-11-25', '2025-06-18', '2025-03-26', '2024-11-05'] as const

export type SessionRevision = (typeof SESSION_REVISIONS)[number]

export type Revision = SessionRevision | typeof STATELESS_REVISION

/** Every revision spoken here, newest first: what `server/discover` and refused versions list. */
export const SUPPORTED_REVISIONS: readonly Revision[] = [STATELESS_REVISION, ...SESSION_REVISIONS]

/** Answered to an `initialize` that asks for a revision we do not know (2025-11-25 lifecycle, version negotiation). */
export const LATEST_SESSION_REVISION: SessionRevision = '2025-11-25'

/** Assumed of a request that has neither a session nor a version header (2025-06-18 transports). */
export const ASSUMED_REVISION: SessionRevision = '2025-03-26'

export const isSessionRevision = (text: string): text is SessionRevision =>
  (SESSION_REVISIONS as readonly string[]).includes(text)

/** Revisions are dates: the order of their texts is the order of their times. */
const since =
  (first: Revision) =>
  (revision: Revision): boolean =>
    revision >= first

export const knowsAnnotations = since('2025-03-26')

/** `title` of a tool, `outputSchema` and `structuredContent` came together. */
export const knowsStructuredContent = since('2025-06-18')

/** Only one revision has JSON-RPC batches: added in 2025-03-26, removed in 2025-06-18. */
export const knowsBatches = (revision: Revision): boolean => revision === '2025-03-26'
