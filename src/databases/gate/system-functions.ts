import type { GateFunction } from './catalogue.ts'

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/))

/**
 * VOLATILE functions of PostgreSQL that a read may call: they give another value each time or look at the
 * server, and change nothing. `pg_sleep` and its like are held by the statement timeout. Not here on
 * purpose: `setseed` (seeds the session's random numbers), `nextval`, everything about files, large
 * objects, locks, notifications, replication, other backends, statistics resets, SQL in strings.
 */
const ALLOWED_VOLATILE = words(`
  array_sample array_shuffle clock_timestamp current_query currval gen_random_uuid lastval
  pg_blocking_pids pg_collation_actual_version pg_current_wal_lsn pg_database_collation_actual_version
  pg_database_size pg_get_sequence_data pg_indexes_size pg_is_in_recovery pg_jit_available pg_last_wal_receive_lsn
  pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_partition_ancestors pg_partition_tree pg_relation_size
  pg_sequence_last_value pg_sleep pg_sleep_for pg_sleep_until pg_table_size pg_tablespace_size
  pg_total_relation_size pg_xact_commit_timestamp pg_xact_status random random_normal timeofday txid_status
  uuidv4 uuidv7
`)

/**
 * IMMUTABLE and STABLE functions that a read may not call although PostgreSQL says they change nothing:
 * they assign a transaction number; read a table that is given as a value, past the judging of relations;
 * show what other sessions run or where they come from; show the server's file system; or are handlers and
 * validators that only PostgreSQL itself should call.
 */
const REFUSED_STABLE = words(`
  pg_current_xact_id txid_current
  database_to_xml database_to_xml_and_xmlschema database_to_xmlschema
  schema_to_xml schema_to_xml_and_xmlschema schema_to_xmlschema
  table_to_xml table_to_xml_and_xmlschema table_to_xmlschema
  pg_stat_get_activity pg_stat_get_backend_activity pg_stat_get_backend_activity_start
  pg_stat_get_backend_client_addr pg_stat_get_backend_client_port pg_stat_get_backend_userid
  pg_stat_get_wal_receiver pg_stat_get_wal_senders pg_stat_get_replication_slot pg_get_replication_slots
  pg_config pg_tablespace_databases pg_tablespace_location
  pg_event_trigger_ddl_commands pg_event_trigger_dropped_objects pg_event_trigger_table_rewrite_oid
  pg_event_trigger_table_rewrite_reason
  fmgr_c_validator fmgr_internal_validator fmgr_sql_validator postgresql_fdw_validator
  pg_input_error_info pg_input_is_valid pg_mcv_list_items satisfies_hash_partition
`)

/** Refused whatever the catalogue says of their volatility: an `ALTER FUNCTION` must not open them. */
const REFUSED_FAMILIES =
  /^(lo_|loread$|lowrite$|pg_read_|pg_ls_|pg_stat_file$|pg_(try_)?advisory_|pg_notify$|pg_(cancel|terminate)_backend$|pg_reload_conf$|pg_rotate_logfile$|pg_logical_|pg_(copy|create|drop)_.*(slot|point)$|pg_replication_|pg_backup_|pg_promote$|pg_switch_wal$|pg_wal_replay_|pg_export_snapshot$|pg_stat_reset|pg_(clear|restore)_.*_stats$|set_config$|setseed$|setval$|nextval$|query_to_xml|cursor_to_xml|ts_stat$|binary_upgrade_|pg_import_|brin_|gin_clean_|dblink|currtid|pg_nextoid$|pg_log_|pg_sync_)/

/** Extensions whose functions are known: their IMMUTABLE and STABLE ones neither run SQL nor touch files. */
const TRUSTED_EXTENSIONS = words(`
  btree_gin btree_gist citext cube earthdistance fuzzystrmatch hstore intarray isn ltree pg_trgm pgcrypto
  seg tsm_system_rows tsm_system_time unaccent uuid-ossp vector
`)

/** VOLATILE functions of these extensions that only give another value each time. */
const ALLOWED_VOLATILE_OF_EXTENSIONS = words(
  `gen_random_bytes gen_random_uuid gen_salt uuid_generate_v1 uuid_generate_v1mc uuid_generate_v4`,
)

export const isTrustedExtension = (name: string | null): boolean =>
  name !== null && TRUSTED_EXTENSIONS.has(name)

/** Why a function of PostgreSQL itself may not be called; `null` when it may. */
export function whySystemFunctionRefused(fn: GateFunction): string | null {
  if (fn.kind === 'p') return 'is a procedure'
  if (fn.plumbing) return 'is made for PostgreSQL itself to call'
  if (REFUSED_FAMILIES.test(fn.name)) return 'reaches beyond reading the tables of this database'
  // Same name, other meaning: ts_rewrite with a string runs the string.
  if (fn.volatility === 'v')
    return ALLOWED_VOLATILE.has(fn.name) ? null : 'is VOLATILE and not known to be harmless'
  return REFUSED_STABLE.has(fn.name) ? 'shows or does more than reading the tables of this database' : null
}

/** The same for a function in C of an extension. */
export function whyExtensionFunctionRefused(fn: GateFunction): string | null {
  if (!isTrustedExtension(fn.extension)) return `is written in ${fn.language}, which the gate cannot read`
  if (fn.plumbing) return 'is made for PostgreSQL itself to call'
  if (fn.volatility === 'v' && !ALLOWED_VOLATILE_OF_EXTENSIONS.has(fn.name))
    return 'is VOLATILE and not known to be harmless'
  return null
}

/** Methods of TABLESAMPLE, by schema where PostgreSQL has them and by extension otherwise. */
export const isSamplingMethod = (fn: GateFunction): boolean =>
  (fn.schema === 'pg_catalog' && (fn.name === 'bernoulli' || fn.name === 'system')) ||
  ((fn.extension === 'tsm_system_rows' || fn.extension === 'tsm_system_time') &&
    (fn.name === 'system_rows' || fn.name === 'system_time'))
