import { expect, test } from 'vitest'
import { CredentialEnded } from '../identity/credential-ended.ts'
import { stoppedBy, stopRefusal } from './stop-refusal.ts'

test.each([
  [new CredentialEnded('revoked'), 'unauthorized', 'credential.revoked'],
  [new CredentialEnded('expired'), 'unauthorized', 'credential.expired'],
  [new CredentialEnded('changed'), 'cancelled', 'credential.changed'],
  [new CredentialEnded('shutdown'), 'cancelled', 'shutdown'],
  [undefined, 'cancelled', 'request.aborted'],
  [new Error('revoked'), 'cancelled', 'request.aborted'],
])('a call stopped by %s is refused as %s, %s', (reason, code, rule) => {
  expect(stopRefusal(stoppedBy(AbortSignal.abort(reason)))).toMatchObject({ code, rule })
})
