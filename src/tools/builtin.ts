import { countRows } from './builtin/count-rows.ts'
import { executeExplain } from './builtin/execute-explain.ts'
import { getSchemaInfo } from './builtin/get-schema-info.ts'
import type { BuiltinParts } from './builtin/parts.ts'
import { queryDatabase } from './builtin/query-database.ts'
import { schemaSearch } from './builtin/schema-search.ts'
import type { Tool } from './tool.ts'

export type { BuiltinParts } from './builtin/parts.ts'

/** Postern's own tools: each reads one of the databases, and none can change anything. */
export function builtinTools(parts: BuiltinParts): Tool[] {
  return [queryDatabase, getSchemaInfo, executeExplain, countRows, schemaSearch].map((tool) => tool(parts))
}
