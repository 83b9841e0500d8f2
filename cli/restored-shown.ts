import type { Restored } from '../src/backup/restore.ts'
import type { TokenFileOutcome } from './bring-back-token-file.ts'

export const restoredJson = (restored: Restored, tokenFile: TokenFileOutcome): unknown => ({
  backup: {
    created_at: restored.manifest.created_at,
    store: restored.manifest.store,
    schema_version: restored.manifest.schema_version,
    postern: restored.manifest.postern,
  },
  users: restored.users,
  tokens: restored.tokens,
  sealed_credentials: restored.sealed,
  kept_revoked: restored.kept,
  token_file: tokenFile,
  audit_intact: restored.audit.intact,
})

/** What came back, and what whoever brought it back has to look at. */
export function restoredText(
  restored: Restored,
  tokenFile: TokenFileOutcome,
  tokenFilePath: string | null,
): string {
  const { manifest, users, tokens, sealed, kept, audit } = restored
  const when = manifest.created_at.replace('T', ' ').replace(/\.\d+Z$/, ' UTC')
  const keptAny = kept.tokens + kept.users + kept.tenants > 0
  return [
    `The store is as it was at ${when}: ${count(users, 'user')} and ${count(tokens, 'valid token')}.`,
    '',
    'Look at these before you start Postern:',
    `- What was removed or changed after ${when} is back, old passwords included.`,
    '  "postern token list" and "postern user list" show it: remove again what must not be valid.',
    ...(keptAny
      ? [
          `- The store before said that ${count(kept.tokens, 'token')}, ${count(kept.users, 'user')} and ${count(kept.tenants, 'tenant')} had been ended: they are ended.`,
        ]
      : []),
    '- Everybody signs in again: no JWT that was issued before is valid.',
    ...(sealed > 0
      ? [
          `- ${count(sealed, 'credential')} for MCP servers can be read only with the secret.key of then: put it into the data directory.`,
        ]
      : []),
    ...tokenFileLines(tokenFile, tokenFilePath),
    audit.intact
      ? `- The audit record is intact: ${count(audit.checked, 'entry', 'entries')}, this restore included.`
      : `- The audit record of the backup was changed after it was written: ${audit.firstBad?.message ?? 'see "postern audit verify"'}.`,
    '',
  ].join('\n')
}

function tokenFileLines(outcome: TokenFileOutcome, path: string | null): readonly string[] {
  const file = path ?? ''
  const lines: Readonly<Record<TokenFileOutcome, readonly string[]>> = {
    restored: [`- The token file ${file} is back, too.`],
    kept: [
      `- The token file ${file} was there and was kept. To have that of the backup, move it away and restore again.`,
    ],
    unplaced: ['- The backup holds a token file, and auth.tokenFile names no place for it.'],
    same: [],
    none: [],
  }
  return lines[outcome]
}

export const count = (number: number, one: string, many = `${one}s`): string =>
  `${number} ${number === 1 ? one : many}`
