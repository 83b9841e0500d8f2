/**
 * The tenant of everything that names none, and of whoever runs the gateway: its administrators look after the
 * others. The configuration, which knows no room, has the same name as the default of `auth.tokens.*.tenant`.
 */
export const FIRST_TENANT = 'default'
