import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { chooseAccelerator } from "./choose-accelerator.ts";
import { hostBootId } from "./process-identity.ts";

async function place() {
  const directory = await mkdtemp(join(tmpdir(), "atoll-probe-"));
  return {
    directory,
    cachePath: join(directory, "probe.json"),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}

/** Instead of QEMU: ends at once without a word. */
const silent = { qemuCommand: ["true"] as const, vmmKey: "one", kernelPath: "/nowhere" };

test("a guest that prints nothing means emulation, and the answer is kept", async () => {
  await using at = await place();
  expect(await chooseAccelerator({ ...silent, cachePath: at.cachePath })).toBe("tcg");
  // A probe now would fail to start at all.
  const absent = { ...silent, qemuCommand: [join(at.directory, "absent")] as const, cachePath: at.cachePath };
  expect(await chooseAccelerator(absent)).toBe("tcg");
});

test("an answer of this boot and this monitor is taken, any other is probed again", async () => {
  await using at = await place();
  const kept = { hostBootId: hostBootId(), vmmKey: "one", accelerator: "kvm" };
  await writeFile(at.cachePath, JSON.stringify(kept));
  expect(await chooseAccelerator({ ...silent, cachePath: at.cachePath })).toBe("kvm");
  for (const other of [{ ...kept, hostBootId: "another" }, { ...kept, vmmKey: "two" }, "damaged"]) {
    await writeFile(at.cachePath, JSON.stringify(other));
    expect(await chooseAccelerator({ ...silent, cachePath: at.cachePath })).toBe("tcg");
  }
});
