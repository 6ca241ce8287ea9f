import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { waitForFirstTemplate } from "./first-template.ts";

let directory: string;
const { signal } = new AbortController();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "atoll-template-"));
});

afterEach(() => rmSync(directory, { recursive: true, force: true }));

function wait(answers: Array<"baking" | "ready" | "failed" | Error>, log: object[] = []) {
  const hostdLog = join(directory, "hostd.log");
  writeFileSync(hostdLog, log.map((line) => `${JSON.stringify(line)}\n`).join(""));
  const reports: string[] = [];
  const result = waitForFirstTemplate({
    health: async () => {
      const answer = answers.shift() ?? new Error("asked too often");
      if (answer instanceof Error) throw answer;
      return { template: answer };
    },
    ...{ hostdLog, signal, report: (detail: string) => reports.push(detail), intervalMs: 1 },
  });
  return { result, reports };
}

it("is no wait when the template is there", async () => {
  const { result, reports } = wait(["ready"]);
  expect(await result).toBe("there already");
  expect(reports).toEqual([]);
});

it("says what is going on while it is made, also while hostd is away", async () => {
  const { result, reports } = wait(["baking", new Error("away"), "baking", "ready"]);
  expect(await result).toBe("made");
  expect(reports.length).toBe(3);
});

it("fails with hostd's own reason in words, and with what can be done nevertheless", async () => {
  const err = { message: "not baked: the jail ended with status 1", code: "template.failed" };
  const { result } = wait(
    ["baking", "failed"],
    [{ level: 50, err, msg: "background work on machines failed" }],
  );
  await expect(result).rejects.toMatchObject({
    message: expect.stringMatching(
      /^the first template was not made: The template could not be made\..*: not baked: the jail ended with status 1$/,
    ),
    remedy: expect.stringMatching(/Workspaces that exist can be used.*hostd\.log/),
  });
});
