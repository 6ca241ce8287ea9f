/**
 * Generations of the wire contract. A resumed VM runs the agent of its birth day, so each connection works at
 * the lower of the two. New optional fields need no new generation; new messages do; names are never reused.
 */
export const PROTOCOL_GENERATION = 1;
/** Older peers than this are refused. */
export const OLDEST_GENERATION = 1;
