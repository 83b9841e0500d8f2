const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/))

/**
 * The descriptive part of `pg_catalog`. A relation that is not here is refused, also one that a later
 * PostgreSQL adds. Left out: password hashes (pg_authid, pg_shadow), credentials of foreign servers and
 * subscriptions, settings of other roles, samples of column values whose reader PostgreSQL does not check
 * (pg_statistic), large objects, the server's files and memory, and what other sessions run or where they
 * come from (pg_stat_activity: the credentials of one Postern share a role, so PostgreSQL would show it).
 */
const READABLE = words(`
  pg_aggregate pg_am pg_amop pg_amproc pg_attrdef pg_attribute pg_auth_members pg_cast pg_class pg_collation
  pg_constraint pg_conversion pg_database pg_default_acl pg_depend pg_description pg_enum pg_event_trigger
  pg_extension pg_foreign_data_wrapper pg_foreign_server pg_foreign_table pg_index pg_inherits pg_init_privs
  pg_language pg_largeobject_metadata pg_namespace pg_opclass pg_operator pg_opfamily pg_parameter_acl
  pg_partitioned_table pg_policy pg_proc pg_publication pg_publication_namespace pg_publication_rel pg_range
  pg_rewrite pg_seclabel pg_sequence pg_shdepend pg_shdescription pg_shseclabel pg_statistic_ext
  pg_subscription_rel pg_tablespace pg_transform pg_trigger pg_ts_config pg_ts_config_map pg_ts_dict
  pg_ts_parser pg_ts_template pg_type
  pg_available_extension_versions pg_available_extensions pg_cursors pg_group pg_indexes pg_locks pg_matviews
  pg_policies pg_prepared_statements pg_publication_tables pg_roles pg_rules pg_seclabels pg_sequences
  pg_settings pg_stats pg_stats_ext pg_stats_ext_exprs pg_tables pg_timezone_abbrevs pg_timezone_names pg_user
  pg_views pg_wait_events
  pg_stat_all_indexes pg_stat_all_tables pg_stat_archiver pg_stat_bgwriter pg_stat_checkpointer
  pg_stat_database pg_stat_database_conflicts pg_stat_io pg_stat_progress_analyze pg_stat_progress_basebackup
  pg_stat_progress_cluster pg_stat_progress_copy pg_stat_progress_create_index pg_stat_progress_vacuum
  pg_stat_slru pg_stat_sys_indexes pg_stat_sys_tables pg_stat_user_functions pg_stat_user_indexes
  pg_stat_user_tables pg_stat_wal pg_stat_xact_all_tables pg_stat_xact_sys_tables
  pg_stat_xact_user_functions pg_stat_xact_user_tables pg_statio_all_indexes pg_statio_all_sequences
  pg_statio_all_tables pg_statio_sys_indexes pg_statio_sys_sequences pg_statio_sys_tables
  pg_statio_user_indexes pg_statio_user_sequences pg_statio_user_tables
`)

/** Where `information_schema` shows the passwords of the asking role for other servers. */
const SECRET_INFORMATION = /^(_pg_|user_mapping)/

/** Whether a relation of PostgreSQL itself may be read. */
export function isReadableSystemRelation(schema: string, name: string): boolean {
  if (schema === 'information_schema') return !SECRET_INFORMATION.test(name)
  return schema === 'pg_catalog' && READABLE.has(name)
}
