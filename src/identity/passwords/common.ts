/** The passwords that attackers try first, in small letters as they were leaked. */
export interface CommonPasswords {
  has(password: string): boolean
}

let loaded: Promise<CommonPasswords> | undefined

/** Some 49,000 of them, read (5 MB) when a password is set for the first time. */
export async function commonPasswords(): Promise<CommonPasswords> {
  return await (loaded ??= import('@zxcvbn-ts/language-common').then(
    ({ dictionary }) => new Set<string>(dictionary['passwords-common']),
  ))
}
