/** Which engine holds the store: embedded SQLite, or PostgreSQL when several replicas share it. */
export type StoreKind = 'sqlite' | 'postgres'
