import { sha256Hex } from '../../lib/digest.ts'
import { readUserName } from './user-name.ts'

/** What limits count under: the same for every spelling of a name, and of a fixed length, whatever was sent. */
export function accountKey(name: string, tenant = ''): string {
  const read = readUserName(name)
  return sha256Hex(`${tenant}\n${read.ok ? read.value.name : name}`)
}
