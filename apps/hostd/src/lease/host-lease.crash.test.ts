import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ManualClock } from "@atoll/base/manual-clock";
import { everyCrash } from "@atoll/durable/testing/every-crash";
import type { Operation } from "@atoll/durable/testing/recording-file-ops";
import { expect, test } from "vitest";
import { HostLease } from "./host-lease.ts";
import { thisProcess } from "./lease-holder.ts";

const acquire = (directory: string) =>
  HostLease.acquire({
    directory,
    clock: new ManualClock(),
    onLost: () => {},
    // Dead, as whoever held it before a power cut is.
    holder: { ...thisProcess(), pid: 4_194_303 },
  });

async function takeTwice(omit?: (operation: Operation) => boolean): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), "atoll-lease-"));
  try {
    const { stateCount } = await everyCrash({
      directory,
      ...(omit ? { omit } : {}),
      run: async (recorder) => {
        for (let count = 0; count < 2; count++) {
          const { generation } = await acquire(directory);
          recorder.acknowledge(`${generation}`);
        }
      },
      check: async (crashed, { acknowledged }) => {
        const lease = await acquire(crashed);
        expect(lease.generation).toBeGreaterThan(Math.max(0, ...acknowledged.map(Number)));
        await lease.check();
        expect(await readdir(join(crashed, "lease"))).toEqual([`${lease.generation}.json`]);
      },
    });
    return stateCount;
  } finally {
    await rm(directory, { recursive: true });
  }
}

test("a generation that was taken is never given again, whatever a crash left, and nothing else stays", async () => {
  expect(await takeTwice()).toBeGreaterThan(15);
});

test("without the sync of its directory a crash is noticed", async () => {
  await expect(takeTwice(({ kind }) => kind === "syncDirectory")).rejects.toThrow("crash");
});
