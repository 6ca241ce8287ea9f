import { once } from "node:events";
import { existsSync, watch } from "node:fs";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runTool } from "./run-tool.ts";

test("what a tool complains about is in the error, an unknown tool is one", async () => {
  await expect(runTool(["sh", "-c", "echo no room >&2; exit 3"])).rejects.toMatchObject({
    code: "vm.start_failed",
    message: expect.stringContaining("no room"),
  });
  await expect(runTool(["/nowhere/qemu-img"])).rejects.toMatchObject({ code: "vm.start_failed" });
});

test("a tool that was cut off is gone when that is told", async () => {
  const directory = await mkdtemp(join(tmpdir(), "atoll-tool-"));
  try {
    const cut = new AbortController();
    const started = once(watch(directory, { signal: cut.signal }), "change");
    const running = runTool(
      ["sh", "-c", `echo $$ >"$1.new"; mv "$1.new" "$1"; exec sleep 60`, "tool", join(directory, "pid")],
      cut.signal,
    );
    running.catch(() => {});
    await started;
    await expect.poll(() => existsSync(join(directory, "pid"))).toBe(true);
    const pid = (await readFile(join(directory, "pid"), "utf8")).trim();
    const reason = new Error("enough");
    cut.abort(reason);
    await expect(running).rejects.toBe(reason);
    expect(existsSync(`/proc/${pid}`)).toBe(false);
  } finally {
    await rm(directory, { recursive: true });
  }
});
