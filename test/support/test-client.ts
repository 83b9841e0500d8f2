import { isObject, type Params } from '../../src/lib/json-rpc.ts'
import type { Revision } from '../../src/lib/revisions.ts'

/** An official client of any revision, with a person, a model and a folder behind it that answer at once. */
export interface TestClient {
  readonly revision: Revision
  readonly serverInfo: Params
  readonly capabilities: Params
  readonly instructions: string | undefined
  readonly told: Told
  /** All pages of a list, one after the other. */
  list(kind: ListKind): Promise<{ readonly entries: readonly Params[]; readonly pages: number }>
  call(tool: string, args?: Params, options?: CallOptions): Promise<Params>
  prompt(name: string, args?: Params): Promise<Params>
  read(uri: string): Promise<Params>
  complete(params: Params): Promise<Params>
  ping(): Promise<void>
  /** From now on, log messages of this level and above are wanted. */
  setLevel(level: string): Promise<void>
  /** From now on, changes of every list and of these resources are to be told. */
  watch(uris: readonly string[]): Promise<void>
  unwatch(uris: readonly string[]): Promise<void>
  rootsChanged(): Promise<void>
  close(): Promise<void>
}

export type ListKind = 'tools' | 'prompts' | 'resources' | 'resourceTemplates'

export interface CallOptions {
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: Params) => void
  readonly timeoutMs?: number
}

/** What reached the client without being an answer. */
export interface Told {
  readonly asked: { readonly method: string; readonly params: Params }[]
  readonly notifications: { readonly method: string; readonly params: Params }[]
}

export interface ClientOptions {
  /** URI of its only root. */
  readonly root?: string
  /** Declares no capability at all. */
  readonly bare?: boolean
}

export const CLIENT_INFO = { name: 'a-test', version: '1.0.0' }

/** What the clients declare, as far as the revision has it. */
export const clientCapabilities = (revision: Revision): Record<string, object> => ({
  sampling: {},
  roots: { listChanged: true },
  ...(revision >= '2025-11-25'
    ? { elicitation: { form: {}, url: {} } }
    : revision >= '2025-06-18'
      ? { elicitation: {} }
      : {}),
})

/** Who answers. What is answered is made of what was asked, so that a test sees both come through. */
export const answer = {
  sampling(params: Params): { role: 'assistant'; model: string; content: { type: 'text'; text: string } } {
    const messages = Array.isArray(params.messages) ? params.messages : []
    const asked = messages
      .map((message: unknown) =>
        isObject(message) && isObject(message.content) ? String(message.content.text) : '',
      )
      .join(' ')
    return { role: 'assistant', model: 'a-model', content: { type: 'text', text: `I was asked: ${asked}` } }
  },

  elicitation(params: Params): {
    action: 'accept'
    content?: Record<string, string | number | boolean | string[]>
  } {
    if (params.mode === 'url') return { action: 'accept' }
    const schema = isObject(params.requestedSchema) ? params.requestedSchema : {}
    const properties = isObject(schema.properties) ? schema.properties : {}
    return {
      action: 'accept',
      content: Object.fromEntries(
        Object.entries(properties).map(([name, property]) => [
          name,
          fill(name, isObject(property) ? property : {}),
        ]),
      ),
    }
  },

  roots: (uri = 'file:///a-folder'): { roots: { uri: string; name: string }[] } => ({
    roots: [{ uri, name: 'a folder' }],
  }),
}

function fill(name: string, property: Params): string | number | boolean | string[] {
  if (property.type === 'boolean') return true
  if (property.type === 'number' || property.type === 'integer') return 7
  if (property.type === 'array') return [choice(isObject(property.items) ? property.items : {}) ?? name]
  return choice(property) ?? `my ${name}`
}

function choice(property: Params): string | undefined {
  const choices = [property.enum, property.oneOf, property.anyOf].find((list) => Array.isArray(list))
  const first: unknown = choices?.[0]
  return isObject(first) ? String(first.const) : typeof first === 'string' ? first : undefined
}
