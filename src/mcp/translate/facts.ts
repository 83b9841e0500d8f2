import { isObject, type Params } from '../../lib/json-rpc.ts'
import { type Revision, SUPPORTED_REVISIONS } from '../../lib/revisions.ts'
import type { ClientFacts, ServerFacts } from '../../upstreams/conversation.ts'
import { has } from './features.ts'
import { lessIcons, lessTitle, without } from './without.ts'

/** What is said of a client that does not say it. */
const ANONYMOUS: Params = { name: 'unknown', version: '0' }

/** What 2026-07-28 made of tasks: other methods than those of 2025-11-25, so neither stands for the other. */
export const TASKS_EXTENSION = 'io.modelcontextprotocol/tasks'

/** Bytes of what a client says of itself that are passed on; of a longer one only name and version. */
const LONGEST_INFO = 8_192

/**
 * What an upstream is told of a client, from its `initialize` or its `_meta`. Only capabilities that are carried:
 * tasks that a client would make of a server's request are not.
 */
export function clientFacts(clientInfo: unknown, capabilities: unknown, revision: Revision): ClientFacts {
  const declared = isObject(capabilities) ? capabilities : {}
  return {
    clientInfo: implementation(clientInfo),
    capabilities: {
      ...picked(declared, 'roots'),
      ...picked(declared, 'sampling'),
      ...(has(revision, 'elicitation') ? picked(declared, 'elicitation') : {}),
      ...picked(declared, 'experimental'),
      ...picked(declared, 'extensions'),
    },
    revision,
  }
}

const picked = (from: Params, name: string): Params => (isObject(from[name]) ? { [name]: from[name] } : {})

function implementation(info: unknown): Params {
  if (!isObject(info) || typeof info.name !== 'string' || typeof info.version !== 'string') return ANONYMOUS
  if (JSON.stringify(info).length <= LONGEST_INFO) return info
  return { name: info.name.slice(0, 256), version: info.version.slice(0, 64) }
}

/** The result of `initialize`: the upstream's own words, less what the revision does not know. */
export function initializeResult(about: ServerFacts, revision: Revision): Params {
  return {
    protocolVersion: revision,
    capabilities: capabilitiesFor(about, revision),
    serverInfo: serverInfoFor(about.serverInfo, revision),
    ...(about.instructions === undefined ? {} : { instructions: about.instructions }),
  }
}

/** Every revision is spoken for every server, whatever its own: that is what a gateway is for. */
export function discoverResult(about: ServerFacts, ttlMs: number): Params {
  const revision = '2026-07-28'
  return {
    resultType: 'complete',
    supportedVersions: SUPPORTED_REVISIONS,
    capabilities: capabilitiesFor(about, revision),
    ...(about.instructions === undefined ? {} : { instructions: about.instructions }),
    ttlMs,
    cacheScope: 'private',
    _meta: { 'io.modelcontextprotocol/serverInfo': serverInfoFor(about.serverInfo, revision) },
  }
}

/** Older revisions have a name and a version, both needed. */
export function serverInfoFor(info: Params, revision: Revision): Params {
  const known = lessTitle(lessIcons(info, revision), revision)
  return {
    ...(has(revision, 'icons') ? known : without(known, 'description', 'websiteUrl')),
    name: typeof info.name === 'string' ? info.name : 'unknown',
    version: typeof info.version === 'string' ? info.version : '0',
  }
}

/** A server's tasks are carried only where both sides mean the same by the word. */
export const sharesTasks = ({ revision, capabilities }: ServerFacts, client: Revision): boolean =>
  has(revision, 'tasks') && has(client, 'tasks') && isObject(capabilities.tasks)

/** The list of tools can change under a client whatever its server says: a grant or a rule may change. */
export function capabilitiesFor(about: ServerFacts, revision: Revision): Params {
  const { capabilities } = about
  let known = without(capabilities, ...(sharesTasks(about, revision) ? [] : ['tasks']))
  if (isObject(known.extensions) && !(has(revision, 'extensions') && has(about.revision, 'extensions'))) {
    known = { ...known, extensions: without(known.extensions, TASKS_EXTENSION) }
  }
  if (!isObject(capabilities.tools)) return known
  return { ...known, tools: { ...capabilities.tools, listChanged: true } }
}
