import { randomUUID } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { replaceFile } from "@atoll/durable/replace-file";
import { everyCrash } from "@atoll/durable/testing/every-crash";
import type { Operation } from "@atoll/durable/testing/recording-file-ops";
import { expect, test } from "vitest";
import { WorkspaceJournal } from "./workspace-journal.ts";
import type { TombstoneRecord } from "./workspace-record.ts";

async function place() {
  const path = await mkdtemp(join(tmpdir(), "atoll-journal-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

const journalIn = (directory: string) =>
  new WorkspaceJournal({
    directory: join(directory, "journal"),
    writeDurably: replaceFile,
    onUnreadable: (path, cause) => {
      throw new Error(`${path} cannot be read`, { cause });
    },
  });

const tombstone = (id: string): TombstoneRecord => ({
  format: 1,
  kind: "owner",
  id,
  requestedAtMs: 1,
  ownerKeyCommitment: null,
  ownerKeyDestroyedAtMs: null,
});

/** All records of the journal are written by one path; the tombstones' are the smallest. */
async function rewrite(directory: string, omit?: (operation: Operation) => boolean) {
  const [kept, changed] = [tombstone(randomUUID()), tombstone(randomUUID())];
  const next = { ...changed, ownerKeyCommitment: "a".repeat(64), ownerKeyDestroyedAtMs: 2 };
  return everyCrash({
    directory,
    ...(omit ? { omit } : {}),
    run: async (recorder) => {
      const journal = journalIn(directory);
      await journal.open();
      await journal.writeTombstone(kept);
      await journal.writeTombstone(changed);
      recorder.acknowledge("first");
      await journal.writeTombstone(next);
      recorder.acknowledge("second");
    },
    check: async (crashed, { acknowledged }) => {
      const { tombstones, unreadable } = await journalIn(crashed).open();
      expect(unreadable).toEqual([]);
      const found = tombstones.find(({ id }) => id === changed.id);
      const allowed = [[undefined, changed], [changed, next], [next]][acknowledged.length];
      expect(allowed).toContainEqual(found);
      if (acknowledged.length > 0) expect(tombstones).toContainEqual(kept);
    },
  });
}

test("a record is the old or the new one after every crash, and none that was acknowledged is lost", async () => {
  await using directory = await place();
  expect((await rewrite(directory.path)).stateCount).toBeGreaterThan(10);
});

test.each(["syncFile", "syncDirectory"])("without %s a crash is noticed", async (kind) => {
  await using directory = await place();
  await expect(rewrite(directory.path, (operation) => operation.kind === kind)).rejects.toThrow("crash");
});
