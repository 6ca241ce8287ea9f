import { randomUUID } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@atoll/base/manual-clock";
import { replaceFile } from "@atoll/durable/replace-file";
import { PREVIEW_GRANT_SECONDS } from "@atoll/protocol/tickets";
import { expect, it } from "vitest";
import { Revocations } from "./revocations.ts";

async function place() {
  const directory = await mkdtemp(join(tmpdir(), "atoll-revoked-"));
  const path = join(directory, "sessions", "revoked.json");
  const clock = new ManualClock();
  const faults: unknown[] = [];
  return {
    path,
    clock,
    faults,
    open: (writeDurably = (file: string, bytes: string) => replaceFile(file, bytes)) =>
      Revocations.open({ path, clock, writeDurably, onUnreadable: (error) => faults.push(error) }),
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}

it("knows in the next life what it was told in this one, and forgets it when nothing signed before lives", async () => {
  await using fixture = await place();
  const ids = [randomUUID(), randomUUID()] as const;
  const first = await fixture.open();
  await Promise.all(ids.map((id) => first.add(id)));
  const second = await fixture.open();
  expect(ids.map((id) => second.revokedAtMs(id))).toEqual([fixture.clock.now(), fixture.clock.now()]);
  fixture.clock.advance(PREVIEW_GRANT_SECONDS * 1000);
  await second.add(randomUUID());
  expect(second.revokedAtMs(ids[0])).toBeDefined();
  fixture.clock.advance(300_000);
  const last = randomUUID();
  await second.add(last);
  const third = await fixture.open();
  expect([...ids, last].map((id) => third.revokedAtMs(id) !== undefined)).toEqual([false, false, true]);
});

it("holds at once, tells who asked that it is not durable, and writes it with the next", async () => {
  await using fixture = await place();
  let isFull = true;
  const first = await fixture.open(async (file, bytes) => {
    if (isFull) throw new Error("no space");
    await replaceFile(file, bytes);
  });
  const [one, two] = [randomUUID(), randomUUID()];
  const adding = first.add(one);
  expect(first.revokedAtMs(one)).toBeDefined();
  await expect(adding).rejects.toThrow("no space");
  isFull = false;
  await first.add(two);
  const second = await fixture.open();
  expect(second.revokedAtMs(one)).toBeDefined();
  expect(fixture.faults).toEqual([]);
});

it("says that a file cannot be read, and begins anew", async () => {
  await using fixture = await place();
  await fixture.open();
  await writeFile(fixture.path, '{"format":1,"revoked":[["x"');
  const opened = await fixture.open();
  expect(fixture.faults).toHaveLength(1);
  await opened.add(randomUUID());
});
