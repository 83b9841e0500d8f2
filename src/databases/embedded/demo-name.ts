/** The name of the database that `serve --demo` adds, in PostgreSQL and for callers alike. */
export const DEMO_DATABASE = 'sample'
