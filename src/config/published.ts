import { readFileSync } from 'node:fs'
import { jsonSchema } from './json-schema.ts'
import { keyTable } from './key-table.ts'

const BEGIN = '<!-- keys: begin. Made by src/config/write-published.ts -->'
const END = '<!-- keys: end -->'

export interface Published {
  readonly file: URL
  readonly text: string
}

/** The files of the repository that are made from the table of keys, as they should be. */
export function published(): readonly Published[] {
  const schema = new URL('../../postern.schema.json', import.meta.url)
  const guide = new URL('../../docs/configuration.md', import.meta.url)
  const text = readFileSync(guide, 'utf8')
  const begin = text.indexOf(BEGIN)
  const end = text.indexOf(END)
  if (begin === -1 || end < begin)
    throw new Error('docs/configuration.md has lost the marks around the table of keys')
  return [
    { file: schema, text: `${JSON.stringify(jsonSchema(), null, 2)}\n` },
    { file: guide, text: `${text.slice(0, begin + BEGIN.length)}\n\n${keyTable()}\n\n${text.slice(end)}` },
  ]
}
