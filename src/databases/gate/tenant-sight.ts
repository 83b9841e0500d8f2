const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/))

/**
 * What `pg_catalog` shows of all tenants of a database at once, whoever asks: counts of rows and of reads and writes,
 * locks, large objects, the state of shared sequences, who owns what. `pg_stats` is not here, because PostgreSQL
 * itself leaves out tables whose row security holds the one who asks.
 */
const RELATIONS = words(`
  pg_largeobject_metadata pg_locks pg_prepared_xacts pg_replication_slots pg_sequences pg_shdepend pg_shmem_allocations
`)
const RELATION_FAMILIES = /^(pg_stat_|pg_statio_|pg_stat$|pg_replication_)/

/**
 * The functions behind them, sizes of tables, what tells of the transactions of others, and those that run SQL in a
 * string or read a relation that is given as a value, past the judging of names.
 */
const FUNCTIONS = words(`
  pg_blocking_pids pg_safe_snapshot_blocking_pids pg_isolation_test_session_is_blocked pg_lock_status pg_prepared_xact
  pg_sequence_last_value pg_get_sequence_data
  pg_database_size pg_indexes_size pg_relation_size pg_table_size pg_tablespace_size pg_total_relation_size
  pg_current_snapshot txid_current_snapshot pg_get_multixact_members pg_last_committed_xact
  pg_xact_commit_timestamp pg_xact_commit_timestamp_origin pg_xact_status txid_status
  pg_current_wal_flush_lsn pg_current_wal_insert_lsn pg_current_wal_lsn pg_notification_queue_usage
`)
const FUNCTION_FAMILIES = /^pg_stat_get_|_to_xml(_and_xmlschema)?$|^ts_(stat|rewrite)$|^pg_(try_)?advisory_/

/**
 * Extensions whose functions in C count what all do, look into pages and files, or run SQL in a string. Their views are
 * made of these functions.
 */
const EXTENSIONS = words(`
  adminpack amcheck dblink file_fdw pageinspect pg_background pg_buffercache pg_cron pg_freespacemap pg_logicalinspect
  pg_overexplain pg_prewarm pg_qualstats pg_stat_kcache pg_stat_monitor pg_stat_statements pg_surgery pg_visibility
  pg_wait_sampling pg_walinspect pgrowlocks pgstattuple tablefunc xml2
`)

/** Whether a relation of PostgreSQL itself shows one tenant to another. */
export const showsTenantsRelation = (schema: string, name: string): boolean =>
  schema === 'pg_catalog' && (RELATIONS.has(name) || RELATION_FAMILIES.test(name))

/** The same for a function. */
export const showsTenantsFunction = (schema: string, name: string): boolean =>
  schema === 'pg_catalog' && (FUNCTIONS.has(name) || FUNCTION_FAMILIES.test(name))

/** The same for a function that came with an extension. */
export const showsTenantsExtension = (extension: string | null): boolean =>
  extension !== null && EXTENSIONS.has(extension)
