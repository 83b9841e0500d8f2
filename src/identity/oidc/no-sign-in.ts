import { err } from '../../lib/result.ts'
import { userRefusal, type UserRefusal } from '../users/user-refusal.ts'
import type { SignIn } from './sign-in.ts'

export const noSuchProvider = (): UserRefusal =>
  userRefusal('not_found', 'oidc.provider', 'there is no provider of that name here')

/** Where no provider is configured: nothing of what it takes is loaded. */
export const noSignIn: SignIn = {
  list: () => [],
  begin: async () => await Promise.resolve(err(noSuchProvider())),
  complete: async () => await Promise.resolve(err(noSuchProvider())),
  close: async () => {
    await Promise.resolve()
  },
}
