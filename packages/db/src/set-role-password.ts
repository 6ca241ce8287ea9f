import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import pg from "pg";

const ITERATIONS = 4_096;
const SALT_BYTES = 16;

export interface RolePassword {
  /** Connection string of a role that may alter the other. */
  ownerUrl: string;
  role: string;
  password: string;
}

/** Sends a SCRAM verifier (RFC 5803), so that the password itself can never reach the server's log. */
export async function setRolePassword({ ownerUrl, role, password }: RolePassword): Promise<void> {
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  try {
    const verifier = pg.escapeLiteral(scramVerifier(password));
    await client.query(`ALTER ROLE ${pg.escapeIdentifier(role)} PASSWORD ${verifier}`);
  } finally {
    await client.end();
  }
}

function scramVerifier(password: string): string {
  const salt = randomBytes(SALT_BYTES);
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, "sha256");
  const clientKey = createHmac("sha256", salted).update("Client Key").digest();
  const storedKey = createHash("sha256").update(clientKey).digest("base64");
  const serverKey = createHmac("sha256", salted).update("Server Key").digest("base64");
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString("base64")}$${storedKey}:${serverKey}`;
}
