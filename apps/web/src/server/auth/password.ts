import { hash, verify } from "@node-rs/argon2";

/** Argon2id with 19 MiB and two passes (the library's defaults, OWASP's first choice). */
export function hashPassword(password: string): Promise<string> {
  return hash(password);
}

let decoy: Promise<string> | undefined;

/**
 * Takes as long for an unknown account as for a wrong password: without a hash it checks against one that
 * nothing matches.
 */
export async function verifyPassword(passwordHash: string | null, password: string): Promise<boolean> {
  decoy ??= hash(crypto.randomUUID());
  const isRight = await verify(passwordHash ?? (await decoy), password);
  return passwordHash !== null && isRight;
}
