import { randomBytes, randomUUID } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { everyCrash } from "@atoll/durable/testing/every-crash";
import type { Operation } from "@atoll/durable/testing/recording-file-ops";
import { expect, test } from "vitest";
import { findManifests, openSnapshot, removeSnapshots, writeSnapshot } from "./snapshot-store.ts";

async function place() {
  const path = await mkdtemp(join(tmpdir(), "atoll-snapshots-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

const origin = (workspaceId: string, epoch: number) => ({
  workspaceId,
  epoch,
  fingerprint: "test 1",
  imageKey: "image",
  templateId: "template",
  memoryMb: 512,
});

async function* once(bytes: Buffer): AsyncGenerator<Buffer> {
  yield bytes;
}

/** Undefined: a cold boot. A snapshot that was found and then does not open is a failure here. */
async function stateOf(directory: string, key: Uint8Array, epoch: number): Promise<string | undefined> {
  const [manifest] = await findManifests(directory, epoch);
  if (manifest === undefined) return undefined;
  const parts: Uint8Array[] = [];
  await using file = await openSnapshot(directory, key, manifest);
  for await (const part of file.read()) parts.push(part);
  return Buffer.concat(parts).toString("hex");
}

async function pauseAgain(directory: string, omit?: (operation: Operation) => boolean) {
  const [workspaceId, key] = [randomUUID(), randomBytes(32)];
  const [first, second] = [randomBytes(900), randomBytes(1200)];
  const snapshots = join(directory, "snapshots");
  await writeSnapshot(snapshots, key, origin(workspaceId, 3), once(first), 1000);
  return everyCrash({
    directory,
    ...(omit ? { omit } : {}),
    run: async (recorder) => {
      await writeSnapshot(snapshots, key, origin(workspaceId, 4), once(second), 2000);
      recorder.acknowledge("paused");
    },
    check: async (crashed, { acknowledged }) => {
      const found = await stateOf(join(crashed, "snapshots"), key, 4);
      expect(
        acknowledged.length > 0 ? [second.toString("hex")] : [undefined, second.toString("hex")],
      ).toContain(found);
    },
  });
}

test("a committed snapshot opens after every crash; one that was not committed is not found", async () => {
  await using directory = await place();
  expect((await pauseAgain(directory.path)).stateCount).toBeGreaterThan(10);
});

test.each(["syncFile", "syncDirectory"])("without %s a crash is noticed", async (kind) => {
  await using directory = await place();
  await expect(pauseAgain(directory.path, (operation) => operation.kind === kind)).rejects.toThrow("crash");
});

test("a first snapshot of a new directory is there or not", async () => {
  await using directory = await place();
  const [workspaceId, key, state] = [randomUUID(), randomBytes(32), randomBytes(100)];
  await everyCrash({
    directory: directory.path,
    run: async (recorder) => {
      await writeSnapshot(join(directory.path, "snapshots"), key, origin(workspaceId, 1), once(state), 1000);
      recorder.acknowledge("paused");
    },
    check: async (crashed, { acknowledged }) => {
      const found = await stateOf(join(crashed, "snapshots"), key, 1);
      expect(
        acknowledged.length > 0 ? [state.toString("hex")] : [undefined, state.toString("hex")],
      ).toContain(found);
    },
  });
});

test("removed snapshots are gone for good once that was promised", async () => {
  await using directory = await place();
  const [workspaceId, key] = [randomUUID(), randomBytes(32)];
  await writeSnapshot(directory.path, key, origin(workspaceId, 1), once(randomBytes(100)), 1000);
  await everyCrash({
    directory: directory.path,
    run: async (recorder) => {
      await removeSnapshots(directory.path);
      recorder.acknowledge("removed");
    },
    check: async (crashed, { acknowledged }) => {
      if (acknowledged.length > 0) expect(await readdir(crashed)).toEqual([]);
    },
  });
});
