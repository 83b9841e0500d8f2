import { FIRST_TENANT } from '../src/identity/first-tenant.ts'
import type { Given, OptionSpec } from './command.ts'

/** Whose credential is meant. */
export const PRINCIPAL_OPTIONS: readonly OptionSpec[] = [
  { name: 'principal', value: 'NAME', summary: 'whose it is: the owner of their tokens' },
  { name: 'tenant', value: 'NAME', summary: 'the tenant of the principal', standard: FIRST_TENANT },
]

export const tenantOf = (given: Given): string => given.text('tenant') ?? FIRST_TENANT
