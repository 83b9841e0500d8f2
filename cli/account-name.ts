import { userInfo } from 'node:os'

/** Whoever may write the store may administer it: the audit names the account of the operating system. */
export function accountName(): string {
  try {
    return userInfo().username
  } catch {
    // A user id without a name, as containers have.
    return `uid ${process.getuid?.() ?? 'unknown'}`
  }
}
