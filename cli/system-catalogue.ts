import { readFileSync } from 'node:fs'
import { gunzipSync } from 'node:zlib'
import { type CatalogueLists, type GateCatalogue, makeCatalogue } from '../src/databases/gate/catalogue.ts'

export const SYSTEM_CATALOGUE_FILE = new URL('./system-catalogue.json.gz', import.meta.url)

/**
 * PostgreSQL's own functions, operators, types and relations, as a new database has them: enough to judge
 * a statement where no database can be asked. `system-catalogue.test.ts` makes it and compares it.
 */
export function loadSystemCatalogue(): GateCatalogue {
  const lists = JSON.parse(gunzipSync(readFileSync(SYSTEM_CATALOGUE_FILE)).toString('utf8')) as CatalogueLists
  return makeCatalogue(lists)
}
