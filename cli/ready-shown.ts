import type { Gateway } from '../src/gateway.ts'
import type { Settings } from '../src/config/settings.ts'
import type { Style } from './command.ts'
import { labelled } from './token-shown.ts'
import { version } from '../src/version.ts'

/** What `serve --json` answers when it is ready. `token` is there on the first start only. */
export const readyDocument = (gateway: Gateway, settings: Settings): Readonly<Record<string, unknown>> => ({
  url: gateway.url,
  mcp_url: `${gateway.url}/mcp`,
  data_dir: settings.dataDir,
  authentication: settings.auth.enabled,
  ...(gateway.bootstrapToken === null ? {} : { token: gateway.bootstrapToken.reveal() }),
})

const indent = (lines: readonly string[], by: number): string =>
  lines.map((line) => (line === '' ? '' : ' '.repeat(by) + line)).join('\n')

/** What a person sees when the gateway is ready: where it is, and on the first start the next steps. */
export function readyText(gateway: Gateway, settings: Settings, style: Style): string {
  const mcp = `${gateway.url}/mcp`
  const facts = labelled(
    [
      ['MCP', mcp],
      ['REST', `${gateway.url}/mcp/tools`],
      ['Data', settings.dataDir],
      ...(settings.auth.enabled
        ? []
        : [['Access', `${style.bold('no authentication')}, read-only, from this machine only`] as const]),
    ],
    style,
  )
  const token = gateway.bootstrapToken
  const curl = 'curl -H "Authorization: Bearer $POSTERN_TOKEN"'
  const steps =
    token === null
      ? []
      : [
          `${style.bold('Your admin token')}, shown this once. Paste the line into a shell, keep the token in a safe place:`,
          indent([`export POSTERN_TOKEN=${token.reveal()}`], 4),
          style.bold('Try it'),
          indent([`${curl} ${gateway.url}/mcp/tools`], 4),
          `${style.bold('Connect an assistant')}, on the command line or in its settings:`,
          indent(
            [
              `claude mcp add --transport http postern ${mcp} \\`,
              '  --header "Authorization: Bearer $POSTERN_TOKEN"',
            ],
            4,
          ),
          indent(clientSettings(mcp), 4),
          style.dim('More tokens, narrower ones: postern token add'),
        ]
  return [
    `${style.bold('Postern')} ${style.dim(version())} is ready at ${style.bold(gateway.url)}`,
    facts,
    ...steps,
    style.dim('Ctrl-C stops it.'),
    '',
  ].join('\n\n')
}

/** The shape that MCP clients share; the token comes from the environment, not from the file. */
const clientSettings = (mcp: string): readonly string[] =>
  [
    '{',
    '  "mcpServers": {',
    '    "postern": {',
    '      "type": "http",',
    `      "url": "${mcp}",`,
    '      "headers": { "Authorization": "Bearer ${POSTERN_TOKEN}" }',
    '    }',
    '  }',
    '}',
  ] as const
