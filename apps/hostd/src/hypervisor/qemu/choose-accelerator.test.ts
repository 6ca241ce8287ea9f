import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { chooseAccelerator } from "./choose-accelerator.ts";
import { hostBootId } from "./process-identity.ts";

async function place() {
  const directory = await mkdtemp(join(tmpdir(), "atoll-probe-"));
  const devicePath = join(directory, "kvm");
  await writeFile(devicePath, "");
  return {
    directory,
    devicePath,
    cachePath: join(directory, "probe.json"),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}

/** Instead of QEMU. `silent` ends at once without a word, `speaking` with what a kernel says first. */
const silent = { qemuCommand: ["true"] as const, vmmKey: "one", kernelPath: "/nowhere" };
const speaking = { ...silent, qemuCommand: ["echo", "Linux version 6"] as const };

async function choose(
  at: { cachePath: string; devicePath: string },
  options: typeof silent | typeof speaking,
) {
  const reasons: string[] = [];
  const onUnusable = (reason: string) => reasons.push(reason);
  const accelerator = await chooseAccelerator({ ...options, ...at, onUnusable });
  return { accelerator, reasons };
}

test("one start that finds KVM failing decides nothing for the next", async () => {
  await using at = await place();
  const failing = { accelerator: "tcg", reasons: ["a kernel under KVM ended without its first line"] };
  expect(await choose(at, silent)).toEqual(failing);
  expect(await choose(at, speaking)).toEqual({ accelerator: "kvm", reasons: [] });
  // And then it is known: this one would fail.
  expect(await choose(at, silent)).toEqual({ accelerator: "kvm", reasons: [] });
});

test("KVM that fails at three starts is not asked again, and each says why", async () => {
  await using at = await place();
  for (let start = 0; start < 3; start++) expect((await choose(at, silent)).accelerator).toBe("tcg");
  expect(await choose(at, speaking)).toEqual({
    accelerator: "tcg",
    reasons: ["a kernel under KVM ended without its first line"],
  });
});

test("an answer of another boot, another monitor or no answer at all is asked for anew", async () => {
  await using at = await place();
  const kept = { hostBootId: hostBootId(), vmmKey: "one", failures: 0 };
  await writeFile(at.cachePath, JSON.stringify(kept));
  expect((await choose(at, silent)).accelerator).toBe("kvm");
  for (const other of [{ ...kept, hostBootId: "another" }, { ...kept, vmmKey: "two" }, "damaged"]) {
    await writeFile(at.cachePath, JSON.stringify(other));
    expect((await choose(at, silent)).accelerator).toBe("tcg");
  }
});

test("without a device that opens, machines are emulated, and the reason names it", async () => {
  await using at = await place();
  const devicePath = join(at.directory, "absent");
  const closed = { accelerator: "tcg", reasons: [`${devicePath} cannot be opened: ENOENT`] };
  expect(await choose({ ...at, devicePath }, speaking)).toEqual(closed);
  expect((await choose(at, speaking)).accelerator).toBe("kvm");
  // Whatever is known from before.
  expect(await choose({ ...at, devicePath }, speaking)).toEqual(closed);
});
