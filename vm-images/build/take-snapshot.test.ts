import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { imageDeclaration } from "./image-declaration.ts";
import { runCommand } from "./run-command.ts";
import { takeSnapshot } from "./take-snapshot.ts";

/** What a process that came out of a snapshot says of Node's own code, before and after unused code was collected. */
const PROGRAM = `
const { startupSnapshot } = require("node:v8");
const { open } = require("node:fs/promises");
async function look() {
  const found = [];
  try { Buffer.from(5); } catch (error) { found.push(error.code); }
  try { await (await open("/")).close(); found.push("closed"); } catch (error) { found.push(error.message); }
  return found;
}
function collect() {
  for (let round = 0; round < 8; round++) {
    const kept = [];
    for (let count = 0; count < 300_000; count++) kept.push({ of: [count] });
  }
}
startupSnapshot.setDeserializeMainFunction(async () => {
  const before = process.env.COLLECT_FIRST ? collect() : await look();
  console.log(JSON.stringify({ before, after: await look() }));
});
`;

describe("a snapshot of a program", () => {
  let scratch: string;
  beforeEach(async () => {
    scratch = await mkdtemp(join(tmpdir(), "atoll-snapshot-"));
  });
  afterEach(() => rm(scratch, { recursive: true, force: true }));

  it("works in Node's own code too, also what is first used after a collection, on the agent's Node", async () => {
    const { agentNode } = imageDeclaration.parse(
      JSON.parse(await readFile(join(import.meta.dirname, "../base/image.json"), "utf8")),
    );
    // Tests run on the same one.
    expect(process.versions.node).toBe(agentNode.version);
    const blob = join(scratch, "main.blob");
    await takeSnapshot(process.execPath, PROGRAM, blob, { scratch });
    const run = async (env: Record<string, string>) =>
      JSON.parse(
        await runCommand([process.execPath, "--max-old-space-size=96", "--snapshot-blob", blob], { env }),
      );
    const works = ["ERR_INVALID_ARG_TYPE", "closed"];
    expect(await run({})).toEqual({ before: works, after: works });
    expect(await run({ COLLECT_FIRST: "1" })).toEqual({ after: works });
  });
});
