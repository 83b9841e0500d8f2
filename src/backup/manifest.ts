import { z } from 'zod'
import { sha256Hex } from '../lib/digest.ts'

/** Raised when an older Postern could not read the file any more. */
export const FORMAT = 1

/** What SQLite keeps in the header to say whose file it is (https://sqlite.org/pragma.html#pragma_application_id): `PSTB`. */
export const APPLICATION_ID = 0x50535442

const DIGEST = z.string().regex(/^[0-9a-f]{64}$/)

const MANIFEST = z.object({
  format: z.literal(FORMAT),
  /** Of the Postern that made it. */
  postern: z.string(),
  schema_version: z.int().positive(),
  created_at: z.iso.datetime(),
  store: z.enum(['sqlite', 'postgres']),
  tables: z.array(z.object({ name: z.string(), rows: z.int().nonnegative(), digest: DIGEST })),
  /** Files beside the store; never one that holds a secret. */
  files: z.array(z.object({ name: z.enum(['token-file']), bytes: z.int().nonnegative(), digest: DIGEST })),
})

/** What a backup says of itself, with a digest of every part of it. */
export type Manifest = z.infer<typeof MANIFEST>

/** The text that is kept, and its digest. It finds damage; whoever can write the file can also write another digest. */
export function writeManifest(manifest: Manifest): { readonly text: string; readonly digest: string } {
  const text = JSON.stringify(manifest)
  return { text, digest: sha256Hex(text) }
}

/** `newer`: of a format that this Postern does not know. `undefined`: not whole. */
export function readManifest(text: string, digest: string): Manifest | 'newer' | undefined {
  if (sha256Hex(text) !== digest) return undefined
  const json: unknown = JSON.parse(text)
  const format = z.object({ format: z.int() }).safeParse(json)
  if (format.success && format.data.format > FORMAT) return 'newer'
  return MANIFEST.safeParse(json).data
}
