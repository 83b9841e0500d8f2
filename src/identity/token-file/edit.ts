import { Document, isMap, isScalar, isSeq, Scalar, YAMLMap, YAMLSeq } from 'yaml'
import { type FileToken, TokenFileProblem } from './entry.ts'
import { parseTokenDocument } from './parse.ts'

/** One change of the file. Everything it does not name stays as it is: unknown fields, comments, order. */
export interface TokenFileEdit {
  readonly add?: FileToken
  /** Ids of entries that go. */
  readonly remove?: ReadonlySet<string>
  /** A new expiry for an entry that stays. Milliseconds since the epoch. */
  readonly expire?: { readonly id: string; readonly at: number }
}

/**
 * Applies an edit to the text of a token file, in the shape that the file has; a new file gets the list.
 *
 * @throws TokenFileProblem when the text is not a token file
 */
export function editTokenFile(text: string, edit: TokenFileEdit): string {
  const document = text.trim() === '' ? new Document({}) : parseTokenDocument(text)
  if (document.contents === null) document.contents = new YAMLMap()
  const root = document.contents
  if (!isMap(root)) throw new TokenFileProblem('the file must have a key `tokens`')
  let tokens = root.get('tokens', true) as unknown
  if (!isSeq(tokens) && !isMap(tokens)) {
    tokens = new YAMLSeq()
    root.set('tokens', tokens)
  }
  if (isSeq(tokens)) editList(tokens, edit)
  else if (isMap(tokens)) editMap(tokens, edit)
  return document.toString({ lineWidth: 0 })
}

function editList(tokens: YAMLSeq, { add, remove, expire }: TokenFileEdit): void {
  const idOf = (item: unknown): string => {
    const id: unknown = isMap(item) ? item.get('id') : undefined
    return typeof id === 'string' ? id : ''
  }
  if (remove) tokens.items = tokens.items.filter((item) => !remove.has(idOf(item)))
  if (expire) {
    for (const item of tokens.items) if (idOf(item) === expire.id) setExpiry(item, expire.at)
  }
  if (add) {
    tokens.flow = false
    tokens.items.push(toNode(add, [['id', add.id]], 'note'))
  }
}

function editMap(tokens: YAMLMap, { add, remove, expire }: TokenFileEdit): void {
  const keyOf = (key: unknown): string => (isScalar(key) ? String(key.value) : '')
  // An entry may name its id inside, which then counts; see `readEntries`.
  const idOf = (pair: (typeof tokens.items)[number]): string => {
    const inside = isMap(pair.value) ? pair.value.get('id') : undefined
    return typeof inside === 'string' && inside !== '' ? inside : keyOf(pair.key)
  }
  if (remove) tokens.items = tokens.items.filter((pair) => !remove.has(idOf(pair)))
  if (expire) {
    for (const pair of tokens.items) if (idOf(pair) === expire.id) setExpiry(pair.value, expire.at)
  }
  if (add) {
    tokens.flow = false
    // The published code calls the note `annotation`; entries stay alike.
    const annotated = tokens.items.some((pair) => isMap(pair.value) && pair.value.has('annotation'))
    tokens.set(add.id, toNode(add, [], annotated || tokens.items.length === 0 ? 'annotation' : 'note'))
  }
}

function setExpiry(entry: unknown, at: number): void {
  if (isMap(entry)) entry.set('expires_at', quoted(isoTime(at)))
}

function toNode(
  token: FileToken,
  first: readonly (readonly [string, string])[],
  noteField: 'note' | 'annotation',
): YAMLMap {
  const node = new YAMLMap()
  for (const [key, value] of first) node.set(key, value)
  node.set('hash', token.hash)
  node.set(noteField, quoted(token.note))
  node.set('created_at', timeNode(token.createdAt && secondBefore(token.createdAt)))
  node.set('expires_at', timeNode(token.expiresAt && secondAfter(token.expiresAt)))
  if (token.owner !== '') node.set('owner', quoted(token.owner))
  node.set('level', token.level)
  if (token.tenant !== undefined) node.set('tenant', quoted(token.tenant))
  if (token.databases !== 'all') {
    const [only, ...others] = token.databases
    if (only !== undefined && others.length === 0) node.set('database', quoted(only))
    else node.set('databases', names(token.databases))
  }
  if (token.servers !== 'all') node.set('servers', names(token.servers))
  if (token.scopes !== 'all') node.set('scopes', names(token.scopes))
  return node
}

/** Whole seconds, as the format's other readers show them: a token is made no younger, and lives no shorter. */
const isoTime = (time: number): string => new Date(time).toISOString().replace('.000Z', 'Z')
const secondBefore = (time: number): number => Math.floor(time / 1_000) * 1_000
const secondAfter = (time: number): number => Math.ceil(time / 1_000) * 1_000

const timeNode = (time: number | null): Scalar => (time === null ? plain('null') : quoted(isoTime(time)))

function quoted(text: string): Scalar {
  const scalar = new Scalar(text)
  scalar.type = Scalar.QUOTE_DOUBLE
  return scalar
}

function plain(text: string): Scalar {
  const scalar = new Scalar(text)
  scalar.type = Scalar.PLAIN
  return scalar
}

function names(list: readonly string[]): YAMLSeq {
  const sequence = new YAMLSeq()
  sequence.items = list.map(quoted)
  sequence.flow = true
  return sequence
}
