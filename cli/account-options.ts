import type { Settings } from '../src/config/settings.ts'
import { err, ok, type Result } from '../src/lib/result.ts'
import type { Given, Invocation } from './command.ts'

export const ACCOUNT_OPTIONS = [
  { name: 'provider', value: 'NAME', summary: 'the provider, as auth.oidc of the configuration calls it' },
  { name: 'subject', value: 'SUBJECT', summary: 'the account there: its "sub"' },
] as const

/** The account that a command means. A provider that is configured no more can be named by its issuer. */
export function readAccount(
  invocation: Invocation,
  given: Given,
  { auth }: Settings,
): Result<{ readonly issuer: string; readonly subject: string }, 1 | 2> {
  const name = given.text('provider')
  const subject = given.text('subject')
  if (name === undefined) return err(invocation.misuse('--provider NAME is needed', 'usage'))
  if (subject === undefined) return err(invocation.misuse('--subject SUBJECT is needed', 'usage'))
  const issuer = auth.oidc.find((provider) => provider.name === name)?.issuer
  if (issuer !== undefined) return ok({ issuer, subject })
  if (URL.canParse(name)) return ok({ issuer: name, subject })
  return err(
    invocation.refuse({
      code: 'not_found',
      rule: 'oidc.provider',
      message: 'the configuration has no provider of that name',
      allowed: 'a key of auth.oidc, or the issuer of a provider that is configured no more',
      candidates: auth.oidc.map((provider) => provider.name),
    }),
  )
}
