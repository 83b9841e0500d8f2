/** `gauge` and `read counter` are looked up when somebody asks; the others are counted as things happen. */
export type Kind = 'counter' | 'histogram' | 'gauge' | 'read counter'

export interface Definition<K extends Kind = Kind> {
  /** As Prometheus names it, `_total` of a counter included. */
  readonly name: string
  readonly kind: K
  readonly labels: readonly string[]
  /** One sentence. */
  readonly help: string
}

const define = <K extends Kind>(
  name: string,
  kind: K,
  labels: readonly string[],
  help: string,
): Definition<K> => ({ name, kind, labels, help })

/** Every metric, once: what is counted, exposed and documented (`docs/observability.md`; a test compares them). */
export const CATALOGUE = {
  build: define(
    'postern_build_info',
    'gauge',
    ['version', 'node'],
    'Always 1; its labels name the versions.',
  ),
  requests: define(
    'postern_http_requests_total',
    'counter',
    ['route', 'method', 'status'],
    'Requests by the pattern of their route, method and class of status.',
  ),
  requestSeconds: define(
    'postern_http_request_duration_seconds',
    'histogram',
    ['route', 'method'],
    'From the request line to the last byte of the reply; an event stream counts when it ends.',
  ),
  requestsByToken: define(
    'postern_token_requests_total',
    'counter',
    ['token_name', 'server'],
    'Authenticated requests by the name of the token and the server they were for.',
  ),
  refusals: define(
    'postern_http_refusals_total',
    'counter',
    ['code'],
    'Requests that were refused or failed, by the code of docs/errors.md.',
  ),
  authenticationsRefused: define(
    'postern_authentications_refused_total',
    'counter',
    ['reason'],
    'Credentials that were not accepted; what was counted instead of listed arrives within a minute, as flood.',
  ),
  credentialsEnded: define(
    'postern_credentials_ended_total',
    'counter',
    ['reason'],
    'Credentials that were revoked, changed or expired while this process knew them.',
  ),
  toolCalls: define(
    'postern_tool_calls_total',
    'counter',
    ['server', 'tool', 'outcome'],
    'Tool calls: done, refused or failed. Server postern has the built-in tools.',
  ),
  toolSeconds: define(
    'postern_tool_call_duration_seconds',
    'histogram',
    ['server', 'outcome'],
    'From the decision to the result of a tool call.',
  ),
  sessions: define('postern_mcp_sessions', 'gauge', [], 'MCP sessions that are open.'),
  streams: define('postern_mcp_streams', 'gauge', [], 'Event streams that are open.'),
  upstreamUp: define(
    'postern_upstream_up',
    'gauge',
    ['server'],
    '1 while an MCP server answers or nobody has needed it, 0 while it fails.',
  ),
  upstreamState: define(
    'postern_upstream_state',
    'gauge',
    ['server', 'state'],
    '1 for the state an MCP server is in: idle, up or failing.',
  ),
  upstreamRestarts: define(
    'postern_upstream_restarts_total',
    'read counter',
    ['server'],
    'Times that a connection or process of an MCP server was begun anew after a failure.',
  ),
  upstreamConversations: define(
    'postern_upstream_conversations',
    'gauge',
    ['server'],
    'Conversations that are open with an MCP server.',
  ),
  upstreamRunning: define(
    'postern_upstream_requests_running',
    'gauge',
    ['server'],
    'Requests that wait for the answer of an MCP server.',
  ),
  upstreamProcesses: define(
    'postern_upstream_processes',
    'gauge',
    ['server'],
    'Processes of an MCP server that is spoken to over stdio.',
  ),
  databaseUp: define(
    'postern_database_up',
    'gauge',
    ['database'],
    '1 while a database is served, 0 while it is away or its role is refused.',
  ),
  databaseConnections: define(
    'postern_database_connections',
    'gauge',
    ['database'],
    'Connections that are open or being opened.',
  ),
  databaseBusy: define(
    'postern_database_connections_busy',
    'gauge',
    ['database'],
    'Connections that run a statement or belong to a session.',
  ),
  databaseWaiting: define(
    'postern_database_calls_waiting',
    'gauge',
    ['database'],
    'Calls that wait for a connection.',
  ),
  databaseDestroyed: define(
    'postern_database_connections_destroyed_total',
    'counter',
    ['database'],
    'Connections that were ended because their state was in doubt.',
  ),
  auditWaiting: define(
    'postern_audit_entries_waiting',
    'gauge',
    [],
    'Entries of the record in memory, not yet written.',
  ),
  auditFlushes: define(
    'postern_audit_flushes_total',
    'read counter',
    [],
    'Transactions that wrote entries of the record.',
  ),
  auditEntries: define(
    'postern_audit_entries_written_total',
    'read counter',
    [],
    'Entries of the record that were written.',
  ),
  auditFailures: define(
    'postern_audit_flush_failures_total',
    'counter',
    [],
    'Times that the record could not be written; its entries are kept and tried again.',
  ),
  feedUp: define(
    'postern_store_feed_up',
    'gauge',
    [],
    '1 while changes that other processes make arrive at once, 0 while caches expire within seconds instead.',
  ),
  faults: define('postern_faults_total', 'counter', ['where'], 'Things that failed and should not have.'),
  spansDropped: define(
    'postern_trace_spans_dropped_total',
    'counter',
    [],
    'Spans that the trace collector did not take.',
  ),
  cpu: define(
    'process_cpu_seconds_total',
    'read counter',
    [],
    'Processor time of this process, user and system.',
  ),
  startTime: define(
    'process_start_time_seconds',
    'gauge',
    [],
    'When the process started, in seconds since the epoch.',
  ),
  memory: define('process_resident_memory_bytes', 'gauge', [], 'Memory that is resident.'),
  files: define('process_open_fds', 'gauge', [], 'Open file descriptors; on Linux only.'),
  heapUsed: define('nodejs_heap_size_used_bytes', 'gauge', [], 'Heap of V8 in use.'),
  heapTotal: define('nodejs_heap_size_total_bytes', 'gauge', [], 'Heap of V8 in all.'),
  external: define('nodejs_external_memory_bytes', 'gauge', [], 'Memory outside the heap that V8 knows of.'),
  loopDelay: define(
    'nodejs_eventloop_delay_p99_seconds',
    'gauge',
    [],
    'How late the event loop was, 99th percentile since the metrics were read last.',
  ),
} as const satisfies Readonly<Record<string, Definition>>

export type MetricKey = keyof typeof CATALOGUE

/** The metrics of a kind. */
export type KeyOf<K extends Kind> = {
  [P in MetricKey]: (typeof CATALOGUE)[P]['kind'] extends K ? P : never
}[MetricKey]
