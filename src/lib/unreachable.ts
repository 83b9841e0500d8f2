/** Closes a switch over a union: a member that is forgotten does not compile, and what slipped past the types is a fault. */
export function unreachable(value: never): never {
  throw new TypeError(`no case for ${JSON.stringify(value)}`)
}
