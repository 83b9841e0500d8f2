import type { Secret } from '../src/lib/secret.ts'
import { version } from '../src/version.ts'
import type { Style } from './command.ts'
import { labelled } from './token-shown.ts'

/** A gateway that is ready, as far as the person who started it should know. */
export interface Ready {
  /** Without a trailing slash. */
  readonly url: string
  /** The admin token of a first start. */
  readonly token: Secret | null
  readonly dataDir: string
  readonly authentication: boolean
  readonly hasDatabase: boolean
  /** Names of the MCP servers behind it. */
  readonly servers: readonly string[]
}

/** Names that are shown one by one; of more, how many there are. */
const MOST_NAMES = 8

/** What `serve --json` answers when it is ready. `token` is there on the first start only. */
export const readyDocument = (ready: Ready): Readonly<Record<string, unknown>> => ({
  url: ready.url,
  mcp_url: `${ready.url}/mcp`,
  data_dir: ready.dataDir,
  authentication: ready.authentication,
  ...(ready.token === null ? {} : { token: ready.token.reveal() }),
})

const code = (lines: readonly string[]): string => lines.map((line) => `    ${line}`).join('\n')

/** What a person sees when the gateway is ready: where it is, and on the first start the next steps. */
export function readyText(ready: Ready, style: Style): string {
  const mcp = `${ready.url}/mcp`
  const facts = labelled(
    [
      ['MCP', mcp],
      ['REST', `${mcp}/tools`],
      ...(ready.servers.length === 0 ? [] : [['Servers', serverNames(ready.servers)] as const]),
      ['Data', ready.dataDir],
      ...(ready.authentication
        ? []
        : [['Access', `${style.bold('no authentication')}, read-only, from this machine only`] as const]),
    ],
    style,
  )
  return [
    `${style.bold('Postern')} ${style.dim(version())} is ready at ${style.bold(ready.url)}`,
    facts,
    ...(ready.hasDatabase || ready.servers.length > 0 ? [] : [NOTHING_YET]),
    ...(ready.token === null ? [] : firstSteps(ready.token, ready, mcp, style)),
    style.dim('Ctrl-C stops it.'),
    '',
  ].join('\n\n')
}

const NOTHING_YET = [
  'Nothing is behind it yet. A postern.yaml names databases and MCP servers: "postern config init"',
  'writes one to fill in, "postern config import FILE" makes one of the servers that an assistant has,',
  'and "postern serve --demo" brings a database to try it with.',
].join('\n')

const serverNames = (names: readonly string[]): string =>
  names.length > MOST_NAMES
    ? `${names.slice(0, MOST_NAMES).join(', ')} and ${names.length - MOST_NAMES} more`
    : names.join(', ')

function firstSteps(token: Secret, ready: Ready, mcp: string, style: Style): readonly string[] {
  const bearer = '"Authorization: Bearer $POSTERN_TOKEN"'
  return [
    `${style.bold('Your admin token')} is shown this once: only its hash is stored. In a shell:`,
    code([`export POSTERN_TOKEN=${token.reveal()}`]),
    style.bold('Try it'),
    code(
      ready.hasDatabase
        ? [
            `curl ${mcp}/tools/query_database -H ${bearer} \\`,
            `  -H "Content-Type: application/json" -d '{"query": "SELECT version()"}'`,
          ]
        : [`curl ${mcp}/tools -H ${bearer}`],
    ),
    `${style.bold('Connect an assistant')}, on the command line or in its settings`,
    code([`claude mcp add --transport http postern ${mcp} \\`, `  --header ${bearer}`]),
    code(clientSettings(mcp)),
    `${style.bold('Narrower tokens')} for programs: postern token add`,
    `${style.bold('People')} who sign in: postern user add --username NAME`,
  ]
}

/** The shape that MCP clients share; the token comes from the environment, not from the file. */
const clientSettings = (mcp: string): readonly string[] => [
  '{',
  '  "mcpServers": {',
  '    "postern": {',
  '      "type": "http",',
  `      "url": "${mcp}",`,
  '      "headers": { "Authorization": "Bearer ${POSTERN_TOKEN}" }',
  '    }',
  '  }',
  '}',
]
