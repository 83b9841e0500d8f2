import type { Tool } from '../../src/tools/tool.ts'
import { refusal } from '../../src/access/refusal.ts'
import { SCHEMA_2020_12 } from './schema-2020-12.ts'
import { testTool, text } from './tools.ts'

/**
 * The tools that the conformance suite calls by name, as far as Postern's own kind of tool goes: text
 * results. Images, audio, prompts and resources come with servers behind the gateway.
 *
 * @param changeTools called by the tool that pretends to change the list of tools
 */
export function conformanceTools(changeTools: () => void): Tool[] {
  return [
    testTool({
      name: 'test_simple_text',
      run: () => text('This is a simple text response for testing.'),
    }),
    testTool({
      name: 'test_error_handling',
      run: () => ({
        outcome: 'refused',
        refusal: refusal('sql_failed', 'sql', 'This tool intentionally returns an error for testing'),
      }),
    }),
    testTool({ name: 'test_logging_tool', run: () => text('nothing was logged') }),
    testTool({ name: 'test_streaming_elicitation', run: () => text('nothing was asked') }),
    testTool({
      name: 'test_trigger_tool_change',
      run: () => {
        changeTools()
        return text('changed')
      },
    }),
    testTool({ name: 'json_schema_2020_12_tool', inputSchema: SCHEMA_2020_12, run: () => text('valid') }),
    testTool({
      name: 'mirrors_region',
      inputSchema: {
        type: 'object',
        properties: { region: { type: 'string', 'x-mcp-header': 'Region' } },
        required: ['region'],
      },
      run: ({ region }) => text(String(region)),
    }),
  ]
}
