/**
 * `npm run plan -- <e-mail> <free|pro|team|enterprise>`: moves an account to a plan, on this machine's database while
 * Atoll runs. The web app's own role has no right to do that.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setPlan } from "@atoll/db/set-plan";
import { PLAN_NAMES } from "@atoll/protocol/plans";
import { chooseDataDirectory } from "./bootstrap/check-machine.mjs";
import { Progress, StepFailure } from "./bootstrap/progress.mjs";
import { repository } from "./start/layout.ts";

const [email, planName] = process.argv.slice(2);

try {
  const plan = PLAN_NAMES.find((name) => name === planName);
  if (!email || !plan) {
    throw new StepFailure("an e-mail address and a plan are needed", {
      remedy: `npm run plan -- ada@example.org ${PLAN_NAMES.join("|")}`,
    });
  }
  const file = join(chooseDataDirectory(repository), "run", "database-owner-url");
  if (!existsSync(file)) throw new StepFailure("Atoll does not run here", { remedy: "Start it: npm start" });
  const changed = await setPlan(readFileSync(file, "utf8"), email, plan);
  if (!changed) throw new StepFailure(`there is no account ${email}`);
  console.log(`${email} is on ${plan}. New workspaces get its size; existing ones keep theirs.`);
} catch (error) {
  new Progress().failure(error);
  process.exitCode = 1;
}
