import type { Chosen } from './choose-relations.ts'
import type { ProtectionFacts, RelationFacts } from './protection-facts.ts'

/** What becomes of a view: granted as it is, granted with the rights of whoever asks, or not granted, and why. */
export type ViewChoice =
  | { readonly view: RelationFacts; readonly grant: 'as it is' | 'switched' }
  | { readonly view: RelationFacts; readonly grant: 'no'; readonly why: string }

/** Views with the rights of whoever asks (`security_invoker`). */
const INVOKER_VERSION = 150_000

const isOn = (value: string | null): boolean => value !== null && /^(true|on|yes|1)$/i.test(value)

/**
 * A view reads with the rights of its owner. Row security on `session_user` holds there all the same, unless the owner
 * bypasses it or the view reads what has none. Such a view is switched to the rights of whoever asks, if nobody else
 * who may read it would lose anything.
 */
export function chooseViews(
  facts: ProtectionFacts,
  chosen: Chosen,
  schemas: readonly string[],
): readonly ViewChoice[] {
  const views = facts.relations.filter(({ kind }) => kind === 'view')
  const byOid = new Map(views.map((view) => [view.oid, view]))
  const shared = new Set(chosen.shared.map(({ oid }) => oid))
  const safe = new Set([...chosen.protected.map(({ table }) => table.oid), ...shared])
  const asker = (view: RelationFacts): boolean => isOn(view.invoker) && facts.version >= INVOKER_VERSION

  /** Whether all that the view reaches with its owner's rights is protected or shared; cycles cannot be made. */
  const reachesSafe = (view: RelationFacts, depth = 0): boolean =>
    depth < 100 &&
    !view.ownerBypasses &&
    view.reads.every((oid) => {
      if (safe.has(oid)) return true
      const inner = byOid.get(oid)
      // Inside a view with its owner's rights, one with the rights of the asker has those of the owner outside.
      return inner !== undefined && reachesSafe(inner, depth + 1)
    })

  return views
    .filter(
      ({ oid, schema, note }) => !shared.has(oid) && (note?.kind === 'view' || schemas.includes(schema)),
    )
    .map((view): ViewChoice => {
      if (asker(view) && view.note?.kind !== 'view') return { view, grant: 'as it is' }
      if (view.note?.kind === 'view') return { view, grant: 'switched' }
      if (reachesSafe(view)) return { view, grant: 'as it is' }
      const reason = view.ownerBypasses
        ? `its owner ${view.owner} bypasses row security`
        : 'it reads something that is neither protected nor shared, with the rights of its owner'
      if (facts.version < INVOKER_VERSION)
        return { view, grant: 'no', why: `${reason}, and this PostgreSQL has no security_invoker` }
      if (view.stranded.length > 0) {
        const others = view.stranded.join(', ')
        return { view, grant: 'no', why: `${reason}, and ${others} may read it and not all that it reads` }
      }
      return { view, grant: 'switched' }
    })
}
