/** Starts what all test files share. The PostgreSQL server is added by test/support/postgres.ts. */
export default function setup(): void {}
