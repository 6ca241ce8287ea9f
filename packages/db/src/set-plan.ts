import pg from "pg";
import type { Plan } from "./generated/client.ts";
import { normalizeEmail } from "./users.ts";

/** For operators: the web app's role has no right to change a plan. False when nobody has this address. */
export async function setPlan(ownerUrl: string, email: string, plan: Plan): Promise<boolean> {
  const client = new pg.Client({ connectionString: ownerUrl });
  await client.connect();
  try {
    const { rowCount } = await client.query("UPDATE users SET plan = $1 WHERE email = $2", [
      plan,
      normalizeEmail(email),
    ]);
    return rowCount === 1;
  } finally {
    await client.end();
  }
}
