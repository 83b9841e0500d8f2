import type { OpenDatabases } from '../../databases/open.ts'
import type { Parser } from '../../databases/gate/parse.ts'
import type { SchemaCatalogues } from '../../databases/schema/catalogue.ts'
import type { LanguageModel } from '../model/model.ts'

/** What Postern's own tools are made of. */
export interface BuiltinParts {
  readonly databases: Pick<OpenDatabases, 'names' | 'resolve' | 'run' | 'tenantView'>
  readonly schema: SchemaCatalogues
  /** Tells SQL from a question, and the shape of what a tool puts together. Judging is the gate's. */
  readonly parser: Pick<Parser, 'parse'>
  /** Writes SQL for questions; `null` when none is configured. */
  readonly model: LanguageModel | null
  readonly limits: {
    /** Rows of one answer unless the call asks for fewer. */
    readonly rows: number
    /** Bytes of one answer. */
    readonly resultBytes: number
  }
}
