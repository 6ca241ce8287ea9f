import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { systemClock } from "@atoll/base/clock";
import { ManualClock } from "@atoll/base/manual-clock";
import { withFileOps } from "@atoll/durable/file-ops";
import { replaceFile } from "@atoll/durable/replace-file";
import type { AtollError } from "@atoll/protocol/atoll-error";
import { describe, expect, it } from "vitest";
import { hostBootId } from "../hypervisor/qemu/process-identity.ts";
import { HostLease, type HostLeaseOptions } from "./host-lease.ts";
import { thisProcess } from "./lease-holder.ts";
import { leasedFileOps } from "./leased-file-ops.ts";
import { isOfOneKernel } from "./one-kernel-file-system.ts";

const TTL_MS = 15_000;

async function directory() {
  const path = await mkdtemp(join(tmpdir(), "atoll-lease-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

function optionsFor(
  path: string,
  more: Partial<HostLeaseOptions> = {},
): HostLeaseOptions & { lost: AtollError[] } {
  const lost: AtollError[] = [];
  const shared = { isOfOneKernel: async () => false };
  return {
    directory: path,
    clock: new ManualClock(),
    onLost: (error) => lost.push(error),
    lost,
    ...shared,
    ...more,
  };
}

/** As a holder would look that stands on another machine, or in another life of this one. */
const ELSEWHERE = { pid: 1, startTicks: "1", place: "another boot" };

/** Moves the clock while somebody waits by it. */
async function settle<T>(clock: ManualClock, work: Promise<T>): Promise<T> {
  let isOver = false;
  const over = work.finally(() => {
    isOver = true;
  });
  over.catch(() => {});
  while (!isOver) {
    await new Promise((resolve) => setTimeout(resolve, 1));
    clock.advance(1000);
  }
  return over;
}

describe("taking it", () => {
  it("creates the first generation, and a higher one each time", async () => {
    await using data = await directory();
    const first = await HostLease.acquire(optionsFor(data.path));
    expect(first.generation).toBe(1);
    await first[Symbol.asyncDispose]();
    const second = await HostLease.acquire(optionsFor(data.path));
    expect(second.generation).toBe(2);
    await second.check();
    expect(await readdir(join(data.path, "lease"))).toEqual(["2.json"]);
    expect((await stat(join(data.path, "lease/2.json"))).mode & 0o777).toBe(0o600);
  });

  it.each([
    ["a dead process", { ...thisProcess(), pid: 4_194_303 }],
    ["a pid that was given to another", { ...thisProcess(), startTicks: "1" }],
  ])("takes over from %s at once", async (_name, holder) => {
    await using data = await directory();
    await HostLease.acquire(optionsFor(data.path, { holder }));
    const lease = await HostLease.acquire(optionsFor(data.path));
    expect(lease.generation).toBe(2);
  });

  it("takes over at once from an earlier boot of the only machine that can have these data", async () => {
    await using data = await directory();
    await HostLease.acquire(optionsFor(data.path, { holder: ELSEWHERE }));
    const lease = await HostLease.acquire(optionsFor(data.path, { isOfOneKernel: async () => true }));
    expect(lease.generation).toBe(2);
    await lease.check();
  });

  it.each([
    ["of another pid namespace of this boot", { ...ELSEWHERE, place: `${hostBootId()} pid:[1]` }, true],
    ["of another boot, on data that machines may share", ELSEWHERE, false],
    ["that lives and stands still", thisProcess(), true],
  ])("never gives up a holder %s before its time", async (_name, holder, isOfOneKernel) => {
    await using data = await directory();
    const clock = new ManualClock();
    const first = await HostLease.acquire(optionsFor(data.path, { clock, holder }));
    const second = HostLease.acquire(
      optionsFor(data.path, { clock, isOfOneKernel: async () => isOfOneKernel }),
    );
    await expect(settle(clock, second)).rejects.toMatchObject({ code: "host.lease_lost" });
    await first.check();
  });

  it("knows the file systems of one machine from those of many", async () => {
    await using data = await directory();
    expect(await isOfOneKernel("/dev/shm")).toBe(true);
    expect(await isOfOneKernel("/proc")).toBe(false);
    expect(await isOfOneKernel(data.path)).toBeTypeOf("boolean");
  });

  it.each([
    ["of another boot", ELSEWHERE],
    ["that lives and stands still", thisProcess()],
  ])("waits until the time of a holder %s is over", async (_name, holder) => {
    await using data = await directory();
    await HostLease.acquire(optionsFor(data.path, { holder }));
    const options = optionsFor(data.path);
    const clock = options.clock as ManualClock;
    const startedAt = clock.monotonic();
    const lease = await settle(clock, HostLease.acquire(options));
    expect(clock.monotonic() - startedAt).toBeGreaterThanOrEqual(TTL_MS);
    await lease.check();
  });

  it.each([ELSEWHERE, thisProcess()])("is refused while the holder renews: %j", async (holder) => {
    await using data = await directory();
    const clock = new ManualClock();
    const first = await HostLease.acquire(optionsFor(data.path, { clock, holder }));
    await expect(settle(clock, HostLease.acquire(optionsFor(data.path, { clock })))).rejects.toMatchObject({
      code: "host.lease_lost",
    });
    await first.check();
  });

  it("does not wait for a holder that gave it back, wherever that was", async () => {
    await using data = await directory();
    const first = await HostLease.acquire(optionsFor(data.path, { holder: ELSEWHERE }));
    await first[Symbol.asyncDispose]();
    expect((await HostLease.acquire(optionsFor(data.path))).generation).toBe(2);
  });

  it("lets one win of many that come at once over a dead holder", async () => {
    await using data = await directory();
    await HostLease.acquire(optionsFor(data.path, { holder: { ...thisProcess(), pid: 4_194_303 } }));
    const clock = new ManualClock();
    const tries = Array.from({ length: 8 }, () => HostLease.acquire(optionsFor(data.path, { clock })));
    const results = await settle(clock, Promise.allSettled(tries));
    const leases = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
    const valid = await Promise.allSettled(leases.map((lease) => lease.check()));
    expect(valid.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  it("treats a file that says nothing as held until its time is over", async () => {
    await using data = await directory();
    await mkdir(join(data.path, "lease"));
    await writeFile(join(data.path, "lease/7.json"), "{ torn");
    const options = optionsFor(data.path);
    const lease = await settle(options.clock as ManualClock, HostLease.acquire(options));
    expect(lease.generation).toBe(8);
  });
});

describe("losing it", () => {
  it("is noticed at the next write, which does not happen", async () => {
    await using data = await directory();
    const stale = optionsFor(data.path, { holder: ELSEWHERE });
    const old = await HostLease.acquire(stale);
    const path = join(data.path, "record.json");
    await withFileOps(leasedFileOps(old), () => replaceFile(path, "old"));
    const options = optionsFor(data.path);
    const next = await settle(options.clock as ManualClock, HostLease.acquire(options));
    await expect(withFileOps(leasedFileOps(old), () => replaceFile(path, "late"))).rejects.toMatchObject({
      code: "host.lease_lost",
    });
    expect(await readFile(path, "utf8")).toBe("old");
    expect(stale.lost).toHaveLength(1);
    expect(await old.successor()).toEqual(thisProcess());
    await withFileOps(leasedFileOps(next), () => replaceFile(path, "new"));
  });

  it("stays lost over any number of successors, and giving it back takes nothing from them", async () => {
    await using data = await directory();
    const holder = { ...thisProcess(), pid: 4_194_303 };
    const leases = [];
    for (let count = 0; count < 4; count++) {
      leases.push(await HostLease.acquire(optionsFor(data.path, { holder })));
    }
    for (const old of leases.slice(0, -1)) {
      await expect(old.check()).rejects.toMatchObject({ code: "host.lease_lost" });
      await old[Symbol.asyncDispose]();
    }
    await leases.at(-1)?.check();
  });

  it("is noticed by itself when it comes to renew", async () => {
    await using data = await directory();
    const clock = new ManualClock();
    const holder = { ...thisProcess(), pid: 4_194_303 };
    const stale = optionsFor(data.path, { clock, holder });
    await HostLease.acquire(stale);
    await HostLease.acquire(optionsFor(data.path, { clock: new ManualClock() }));
    clock.advance(TTL_MS);
    await expect.poll(() => stale.lost.length).toBe(1);
  });
});

describe("with a real second process", () => {
  const SCRIPT = `
    import { systemClock } from "@atoll/base/clock";
    import { HostLease } from ${JSON.stringify(join(import.meta.dirname, "host-lease.ts"))};
    const lease = await HostLease.acquire({
      directory: process.argv[1], clock: systemClock, ttlMs: 600,
      onLost: () => { console.log("lost"); process.exit(75); },
    });
    console.log("held " + lease.generation);
  `;
  function holderOf(path: string): { child: ChildProcess; said: (line: string) => Promise<void> } {
    const child = spawn(process.execPath, ["--input-type=module", "-e", SCRIPT, path], {
      cwd: import.meta.dirname,
      stdio: ["ignore", "pipe", "inherit"],
    });
    const lines: string[] = [];
    if (child.stdout !== null) createInterface(child.stdout).on("line", (line) => lines.push(line));
    return { child, said: (line) => expect.poll(() => lines, { timeout: 20_000 }).toContain(line) };
  }
  const real = (path: string) => optionsFor(path, { clock: systemClock, ttlMs: 600 });

  it("refuses while it lives, and takes over the moment it was killed", async () => {
    await using data = await directory();
    const { child, said } = holderOf(data.path);
    await said("held 1");
    await expect(HostLease.acquire(real(data.path))).rejects.toMatchObject({ code: "host.lease_lost" });
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
    await using lease = await HostLease.acquire(real(data.path));
    expect(lease.generation).toBe(2);
  });

  it("takes over from one that stands still; when that comes back it finds it lost and ends", async () => {
    await using data = await directory();
    const { child, said } = holderOf(data.path);
    await said("held 1");
    child.kill("SIGSTOP");
    await using lease = await HostLease.acquire(real(data.path));
    expect(lease.generation).toBe(2);
    const gone = once(child, "exit");
    child.kill("SIGCONT");
    expect((await gone)[0]).toBe(75);
    await said("lost");
    await lease.check();
  });
});
