import type { Secret } from '../../lib/secret.ts'
import { flag, secret, strings, text, verbatim, webUrl } from '../leaves.ts'
import { memberPath } from '../node.ts'
import type { UserCredentialSettings } from '../settings.ts'
import { mapped, type Named, type Naming, named, optional, section } from '../spec.ts'

/** Characters: a certificate chain or the key of a service account fits. */
const LONGEST_VARIABLE = 65_536

/** Characters; less than servers usually take for all headers. */
const LONGEST_HEADER = 8_192

const VARIABLE_NAMING: Naming = {
  pattern: /^[A-Za-z_][A-Za-z0-9_]{0,127}$/,
  rule: 'use letters, digits and _, not starting with a digit',
  example: 'API_KEY',
}

/** RFC 9110 §5.1 `token`. */
const HEADER_NAMING: Naming = {
  pattern: /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/,
  rule: 'use the name of a header, such as Authorization',
  example: 'X-Api-Key',
}

/** Headers that frame a message, name the other side, or carry MCP itself: Postern sets them. */
const RESERVED =
  /^(?:accept|accept-encoding|connection|content-(?:encoding|length|type)|expect|host|keep-alive|last-event-id|mcp-.*|proxy-.*|te|trailer|traceparent|tracestate|transfer-encoding|upgrade)$/i

const RESERVED_RULE = 'is set by Postern itself'

/** RFC 9110 §5.5 without `obs-text`: what every server reads the same way. */
const FIELD_VALUE = /^[\x20-\x7e]*$/

export const environment = named(
  'Environment variables of the program. It gets these and PATH, HOME, LANG, TMPDIR and the like, nothing else of Postern’s own.',
  secret('One variable.', {
    longest: LONGEST_VARIABLE,
    lines: true,
    empty: true,
    example: '$env:FILES_API_KEY',
  }),
  VARIABLE_NAMING,
)

export const headers = mapped(
  named(
    'Headers that are sent with every request: the credential of the server, never that of a caller.',
    secret('One header.', { longest: LONGEST_HEADER, example: '$env:WIKI_API_KEY' }),
    HEADER_NAMING,
  ),
  (values, place, context): readonly Named<Secret>[] | undefined => {
    let good = true
    for (const { name, value } of values) {
      const at = context.places.get(memberPath(place.key, name)) ?? place
      const rule = RESERVED.test(name)
        ? RESERVED_RULE
        : FIELD_VALUE.test(value.reveal())
          ? undefined
          : 'holds characters that a header cannot have: only printable ASCII'
      if (rule === undefined) continue
      context.report.problem('config_bad_value', at, rule)
      good = false
    }
    return good ? values : undefined
  },
)

export const clientCredentials = mapped(
  section('OAuth client credentials, with which Postern fetches the token that it shows to the server.', {
    tokenUrl: webUrl('Token endpoint of the authorization server.', {
      example: 'https://auth.example.com/oauth/token',
    }),
    clientId: text('The client’s id.', { example: 'postern' }),
    clientSecret: secret('The client’s secret.', { example: '$env:WIKI_CLIENT_SECRET' }),
    scopes: strings('Scopes to ask for.', { standard: [] }),
    resource: optional(webUrl('The resource that the token is for (RFC 8707).', { exact: true })),
  }),
  (value, place, context) => {
    if (value.tokenUrl.startsWith('https:') || isOnThisMachine(value.tokenUrl)) return value
    const at = context.places.get(memberPath(place.key, 'tokenUrl')) ?? place
    // RFC 6749 §3.2: the secret goes along in every request.
    context.report.problem('config_insecure', at, 'must be https: the secret is sent there')
    return undefined
  },
)

const isOnThisMachine = (url: string): boolean =>
  /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])$/.test(new URL(url).hostname)

export const userCredential = mapped(
  section('A credential of each principal’s own, which Postern keeps encrypted, in place of the server’s.', {
    header: optional(text('Header it is sent in, for a `url`.', { example: 'X-User-Key' })),
    prefix: optional(
      verbatim('What stands before it in the header, with the space.'),
      '`Bearer ` in `Authorization`, else nothing',
    ),
    env: optional(text('Environment variable it is given in, for a `command`.')),
    required: flag('Whether a principal without one is refused.', { standard: true }),
  }),
  ({ header, prefix, env, required }, place, context): UserCredentialSettings | undefined => {
    const wrong = (member: string, message: string): undefined => {
      const key = memberPath(place.key, member)
      const at = context.places.get(key) ?? { ...place, path: memberPath(place.path, member) }
      context.report.problem('config_bad_value', at, message)
      return undefined
    }
    if ((header === null) === (env === null))
      return wrong(header === null ? 'header' : 'env', 'needs exactly one of header and env')
    if (env !== null) {
      if (prefix !== null) return wrong('prefix', 'goes with header, not with env')
      if (!VARIABLE_NAMING.pattern.test(env))
        return wrong('env', `is not a variable: ${VARIABLE_NAMING.rule}`)
      return { kind: 'env', name: env, required }
    }
    const name = (header ?? '').toLowerCase()
    if (!HEADER_NAMING.pattern.test(name)) return wrong('header', `is not a header: ${HEADER_NAMING.rule}`)
    if (RESERVED.test(name)) return wrong('header', RESERVED_RULE)
    const before = prefix ?? (name === 'authorization' ? 'Bearer ' : '')
    if (!FIELD_VALUE.test(before)) return wrong('prefix', 'holds characters that a header cannot have')
    return { kind: 'header', header: name, prefix: before, required }
  },
)
