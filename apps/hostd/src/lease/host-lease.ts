/**
 * One writer per data directory, proved by a generation on the disk. `<data>/lease/<generation>.json` names the holder;
 * a name is claimed with link(2), so of two that want it one wins, and the highest one counts. Renewing sets the file's
 * time, which fails once it is gone. Only older files are removed: for a holder that lost, a higher one is there at any
 * time, and one look at the directory's names tells.
 */
import { readdir, readFile, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Clock } from "@atoll/base/clock";
import { createFile } from "@atoll/durable/create-file";
import { fileOps } from "@atoll/durable/file-ops";
import { linkFile } from "@atoll/durable/link-file";
import { makeDirectory } from "@atoll/durable/make-directory";
import { AtollError, toAtollError } from "@atoll/protocol/atoll-error";
import { z } from "zod";
import { isKnownDead, type LeaseHolder, leaseHolder, thisProcess } from "./lease-holder.ts";
import { isOfOneKernel as isFileSystemOfOneKernel } from "./one-kernel-file-system.ts";

export interface HostLeaseOptions {
  /** The data directory. */
  directory: string;
  clock: Clock;
  /** Called once, when another one took over. */
  onLost: (error: AtollError) => void;
  /** A holder that is not renewed for so long is given up. */
  ttlMs?: number;
  /** Who claims it; this process unless a test says otherwise. */
  holder?: LeaseHolder;
  /** Whether no other kernel can have these data. */
  isOfOneKernel?: (path: string) => Promise<boolean>;
}

const TTL_MS = 15_000;
const RENEWALS_PER_TTL = 3;
/** How files begin that are not yet anyone's lease. */
const CLAIM = "claim.";

const leaseFile = z.object({ format: z.literal(1), generation: z.number().int(), holder: leaseHolder });

interface Found {
  generation: number;
  /** Undefined when its file cannot be read: it counts as held until time tells otherwise. */
  holder: LeaseHolder | undefined;
  renewedAtMs: number;
}

export class HostLease implements AsyncDisposable {
  readonly generation: number;
  readonly #options: HostLeaseOptions;
  readonly #place: string;
  #lost: AtollError | undefined;
  #isReleased = false;
  #cancelRenewal = () => {};

  /** @throws AtollError host.lease_lost while another one holds it */
  static async acquire(options: HostLeaseOptions): Promise<HostLease> {
    const place = join(options.directory, "lease");
    // Parents of jailed machines are passed through by their uids.
    await makeDirectory(options.directory, 0o711);
    // Durable before anything in it counts: generations would begin anew.
    await makeDirectory(place);
    for (;;) {
      const newest = await readNewest(place);
      if (newest !== undefined) await waitUntilFree(place, newest, options);
      const generation = (newest?.generation ?? 0) + 1;
      const holder = options.holder ?? thisProcess();
      if (await claim(place, generation, holder)) {
        const lease = new HostLease(options, place, generation);
        await lease.#removeOthers();
        lease.#scheduleRenewal();
        return lease;
      }
    }
  }

  private constructor(options: HostLeaseOptions, place: string, generation: number) {
    this.#options = options;
    this.#place = place;
    this.generation = generation;
  }

  /** Before each durable write and each launch. @throws AtollError host.lease_lost */
  async check(): Promise<void> {
    if (this.#lost !== undefined) throw this.#lost;
    if ((await generationsIn(this.#place)).at(-1) === this.generation) return;
    this.#lose();
    throw this.#lost ?? new AtollError("host.lease_lost");
  }

  /** The one who has it now, when that is another. */
  async successor(): Promise<LeaseHolder | undefined> {
    const newest = await readNewest(this.#place);
    return newest === undefined || newest.generation === this.generation ? undefined : newest.holder;
  }

  /** Nobody has to wait for its time to pass. The name stays taken: generations never come back. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isReleased = true;
    this.#cancelRenewal();
    if (this.#lost === undefined) await utimes(pathOf(this.#place, this.generation), 0, 0).catch(() => {});
  }

  #scheduleRenewal(): void {
    const { clock, ttlMs = TTL_MS } = this.#options;
    this.#cancelRenewal = clock.schedule(ttlMs / RENEWALS_PER_TTL, () => void this.#renew());
  }

  async #renew(): Promise<void> {
    try {
      await this.check();
      const now = this.#options.clock.now() / 1000;
      if (!this.#isReleased) await utimes(pathOf(this.#place, this.generation), now, now);
    } catch (cause) {
      const { code } = cause as NodeJS.ErrnoException;
      if (code === "ENOENT") this.#lose();
      // A disk that fails is not a lease that is lost; it is asked again before anything is written.
    }
    if (this.#lost === undefined && !this.#isReleased) this.#scheduleRenewal();
  }

  #lose(): void {
    if (this.#lost !== undefined) return;
    this.#cancelRenewal();
    this.#lost = new AtollError("host.lease_lost", `generation ${this.generation} was taken over`);
    if (!this.#isReleased) this.#options.onLost(toAtollError(this.#lost));
  }

  async #removeOthers(): Promise<void> {
    const ops = fileOps();
    for (const generation of await generationsIn(this.#place)) {
      if (generation < this.generation) await ops.remove(pathOf(this.#place, generation));
    }
    // Of lives that ended while they claimed; one that claims just now is too late and finds that out.
    const claims = (await readdir(this.#place)).filter((name) => name.startsWith(CLAIM));
    for (const name of claims) await ops.remove(join(this.#place, name));
  }
}

/** @throws AtollError host.lease_lost when it is renewed */
async function waitUntilFree(
  place: string,
  newest: Found,
  { clock, ttlMs = TTL_MS, isOfOneKernel = isFileSystemOfOneKernel }: HostLeaseOptions,
): Promise<void> {
  const isReleased = newest.renewedAtMs === 0;
  if (isReleased) return;
  if (newest.holder !== undefined && isKnownDead(newest.holder, await isOfOneKernel(place))) return;
  // Another kernel's process, or one that is there but may stand still: only its silence tells, by our own clock.
  const step = ttlMs / RENEWALS_PER_TTL;
  for (let waitedMs = 0; waitedMs < ttlMs + step; waitedMs += step) {
    await new Promise<void>((resolve) => clock.schedule(step, resolve));
    const now = await readNewest(place);
    if (now?.generation === newest.generation && now.renewedAtMs === newest.renewedAtMs) continue;
    if (now?.generation === newest.generation && now.renewedAtMs === 0) return;
    throw new AtollError("host.lease_lost", `another hostd (${newest.holder?.pid ?? "?"}) has this data`);
  }
}

/** False when somebody was faster. */
async function claim(place: string, generation: number, holder: LeaseHolder): Promise<boolean> {
  const temporary = join(place, `${CLAIM}${holder.pid}.${process.hrtime.bigint()}`);
  try {
    {
      await using file = await createFile(temporary);
      await file.write(Buffer.from(JSON.stringify({ format: 1, generation, holder })));
      await file.sync();
    }
    await linkFile(temporary, pathOf(place, generation));
    return true;
  } catch (error) {
    // The name is taken, or whoever took one has tidied up.
    if (["EEXIST", "ENOENT"].includes((error as NodeJS.ErrnoException).code ?? "")) return false;
    throw error;
  } finally {
    await fileOps().remove(temporary);
  }
}

async function readNewest(place: string): Promise<Found | undefined> {
  for (;;) {
    const generation = (await generationsIn(place)).at(-1);
    if (generation === undefined) return undefined;
    const path = pathOf(place, generation);
    try {
      const { mtimeMs } = await stat(path);
      const parsed = leaseFile.safeParse(parseJson(await readFile(path, "utf8")));
      const holder = parsed.success ? parsed.data.holder : undefined;
      return { generation, holder, renewedAtMs: mtimeMs };
    } catch (error) {
      // Taken over while it was read.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
  }
}

/** Ascending. */
async function generationsIn(place: string): Promise<number[]> {
  const names = await readdir(place).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  const leases = names.filter((name) => /^\d{1,15}\.json$/.test(name));
  return leases.map((name) => Number.parseInt(name, 10)).sort((a, b) => a - b);
}

function pathOf(place: string, generation: number): string {
  return join(place, `${generation}.json`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
