import { postJson } from './load.ts'
import { AUTHORIZATION } from './postern.ts'
import { SESSION, STATELESS } from './static-server.ts'

const CALL = {
  jsonrpc: '2.0',
  id: 1,
  method: 'tools/call',
  params: { name: 'lookup', arguments: { part: 4711 } },
}

/** The bytes of the measured call in a session that is opened for it. */
export async function sessionCall(
  port: number,
  path: string,
  authorization: Readonly<Record<string, string>> = AUTHORIZATION,
): Promise<string> {
  const send = async (body: unknown, headers: Readonly<Record<string, string>> = {}): Promise<Response> =>
    await fetch(`http://127.0.0.1:${port}${path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        accept: 'application/json, text/event-stream',
        ...authorization,
        ...headers,
      },
      body: JSON.stringify(body),
    })
  const params = {
    protocolVersion: SESSION,
    capabilities: {},
    clientInfo: { name: 'bench', version: '1.0.0' },
  }
  const initialize = { jsonrpc: '2.0', id: 0, method: 'initialize', params }
  // The first time a gateway may have to find out what the server speaks, which need not be the way it goes on.
  await (await send(initialize)).text()
  const opened = await send(initialize)
  const text = await opened.text()
  const session = opened.headers.get('mcp-session-id')
  if (opened.status !== 200 || session === null)
    throw new Error(`initialize at ${path} was answered with ${opened.status} ${text.slice(0, 500)}`)
  const headers = { 'mcp-session-id': session, 'mcp-protocol-version': SESSION }
  await (await send({ jsonrpc: '2.0', method: 'notifications/initialized' }, headers)).text()
  // A server's tools are known once they were listed, and its metrics are by tool.
  await (await send({ jsonrpc: '2.0', id: 2, method: 'tools/list' }, headers)).text()
  return postJson(path, port, CALL, { ...authorization, ...headers })
}

/** The bytes of the measured call in the revision without sessions. */
export function statelessCall(port: number, path: string): string {
  const _meta = {
    'io.modelcontextprotocol/protocolVersion': STATELESS,
    'io.modelcontextprotocol/clientInfo': { name: 'bench', version: '1.0.0' },
    'io.modelcontextprotocol/clientCapabilities': {},
  }
  return postJson(
    path,
    port,
    { ...CALL, params: { ...CALL.params, _meta } },
    {
      ...AUTHORIZATION,
      'mcp-protocol-version': STATELESS,
      'mcp-method': 'tools/call',
      'mcp-name': 'lookup',
    },
  )
}
