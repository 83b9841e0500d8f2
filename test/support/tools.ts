import type { ToolRule } from '../../src/access/decide.ts'
import { err, ok, type Result } from '../../src/lib/result.ts'
import type { CallContext, JsonSchema, ParsedCall, Tool, ToolResult } from '../../src/tools/tool.ts'

type Args = Readonly<Record<string, unknown>>

export interface ToolSpec {
  readonly name: string
  readonly rule?: Partial<ToolRule>
  readonly inputSchema?: JsonSchema
  readonly outputSchema?: JsonSchema
  /** Names of arguments that must be strings. */
  readonly strings?: readonly string[]
  run(args: Args, context: CallContext): ToolResult | Promise<ToolResult>
}

/** A tool of the test's own, of the same kind as Postern's: it parses its arguments and then runs. */
export function testTool(spec: ToolSpec): Tool {
  const strings = spec.strings ?? []
  const properties = Object.fromEntries(strings.map((name) => [name, { type: 'string' }]))
  return {
    rule: { name: spec.name, server: 'postern', level: 'read-only', scopes: [], ...spec.rule },
    title: `The ${spec.name} tool`,
    description: `Does ${spec.name}`,
    inputSchema: spec.inputSchema ?? { type: 'object', properties, required: [...strings] },
    ...(spec.outputSchema ? { outputSchema: spec.outputSchema } : {}),
    annotations: { title: `The ${spec.name} tool`, readOnlyHint: true },
    parse(args: unknown): Result<ParsedCall, string> {
      const given = args as Args
      for (const name of strings) {
        if (typeof given[name] !== 'string') return err(`${name} must be a string`)
      }
      return ok({ run: async (context) => spec.run(given, context) })
    },
  }
}

export const text = (value: string): ToolResult => ({
  outcome: 'done',
  content: [{ type: 'text', text: value }],
})

export const echoTool = testTool({
  name: 'echo',
  strings: ['message'],
  outputSchema: {
    type: 'object',
    properties: { message: { type: 'string' } },
    required: ['message'],
  },
  run: ({ message }) => ({
    outcome: 'done',
    content: [{ type: 'text', text: String(message) }],
    structured: { message },
  }),
})
