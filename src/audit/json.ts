import type { AuditEntry } from './open.ts'
import type { AuditVerification } from './verify.ts'

/** An entry as the administration API and the command line show it; what an entry does not have is absent. */
export function entryJson(entry: AuditEntry) {
  return {
    seq: entry.seq,
    at: new Date(entry.at).toISOString(),
    kind: entry.kind,
    outcome: entry.outcome,
    ...(entry.requestId === undefined ? {} : { request_id: entry.requestId }),
    ...(entry.principal === undefined ? {} : { who: entry.principal }),
    ...(entry.credentialId === undefined ? {} : { credential_id: entry.credentialId }),
    ...(entry.tenant === undefined ? {} : { tenant: entry.tenant }),
    ...(entry.wire === undefined ? {} : { wire: entry.wire }),
    ...(entry.action === undefined ? {} : { tool: entry.action }),
    ...(entry.target === undefined ? {} : { target: entry.target }),
    ...(entry.rule === undefined ? {} : { rule: entry.rule }),
    ...(entry.durationMs === undefined ? {} : { duration_ms: entry.durationMs }),
    ...(entry.rowCount === undefined ? {} : { row_count: entry.rowCount }),
    ...(entry.remoteAddress === undefined ? {} : { remote_address: entry.remoteAddress }),
    ...(entry.count === undefined ? {} : { count: entry.count }),
    hash: entry.hash,
  }
}

/** What a verification found, in the spelling of the JSON interfaces. */
export function verificationJson({
  intact,
  checked,
  floorSeq,
  headSeq,
  headHash,
  firstBad,
}: AuditVerification) {
  return {
    intact,
    checked,
    floor_seq: floorSeq,
    head_seq: headSeq,
    head_hash: headHash,
    ...(firstBad === undefined ? {} : { first_bad: firstBad }),
  }
}
