/**
 * Every process that has the store open holds this advisory lock, shared, on the connection of its feed; a restore takes
 * it alone. PostgreSQL lets go of it with the connection, however that ends.
 */
export const IN_USE_KEY = 7_067_203_312

/** The topic that a restore raises: whoever had the store open all the same must not go on with it. */
export const RESTORED_TOPIC = 'restored'
