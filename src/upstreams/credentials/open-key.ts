import { Fault } from '../../lib/fault.ts'
import { sealer } from '../../lib/seal.ts'
import type { Observe } from '../../observe/observation.ts'
import type { Store } from '../../store/open.ts'
import { listUpstreamCredentials } from '../../store/upstream-credentials.ts'
import { makeKeyFile, readKeyFile } from '../../lib/key-file.ts'

/** Credentials that are looked at to see whether this key sealed them. */
const LOOKED_AT = 1_000

/**
 * The key of this installation, which seals the credentials of principals and from which the roles of tenants are
 * derived; made when there is none and nothing was sealed yet.
 *
 * @param file absolute path; every process that shares the store needs the same key in it
 * @throws Fault `config_invalid` when the file is unfit, or missing while the store holds what it sealed;
 *   `data_dir_unusable`, `store_unavailable`
 */
export async function openKey(file: string, store: Store, observe: Observe): Promise<Buffer> {
  const rows = await listUpstreamCredentials(store.db, {}, LOOKED_AT)
  const key = await readKeyFile(file)
  if (key === null) {
    if (rows.length > 0) {
      throw new Fault(
        'config_invalid',
        `the store holds credentials of principals, and the key file ${file} that opens them is missing: bring it back ` +
          'from a backup or from another process that shares the store, or remove them (postern server credential remove)',
      )
    }
    const made = await makeKeyFile(file)
    observe({
      kind: 'config.warning',
      message: `made the key file ${file} for credentials of principals and roles of tenants: keep a copy apart from the database`,
    })
    return made
  }
  const { keyId } = sealer(key)
  const foreign = rows.filter(({ sealed }) => sealed?.split('.')[1] !== keyId).length
  if (foreign > 0) {
    observe({
      kind: 'config.warning',
      message:
        `${foreign} credential(s) of principals were sealed with another key than that of ${file} and cannot be used: ` +
        'bring that key back, or have them left anew',
    })
  }
  return key
}
