import { randomUUID } from "node:crypto";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Scope } from "@atoll/base/scope";
import { PLANS } from "@atoll/protocol/plans";
import { expect, it } from "vitest";
import { z } from "zod";
import { openBrowserSession } from "../../bench/browser-session.ts";
import { HostdClient } from "../../bench/hostd-client.ts";
import { HostCensus } from "../../chaos/host-census.ts";
import { runInGuest } from "../../chaos/in-guest.ts";
import { checkStopped } from "../../chaos/leftovers.ts";
import { difference } from "../bootstrap/npm-packages.mjs";
import { makeLayout, repository } from "./layout.ts";
import { StartProcess, startPorts } from "./testing/start-process.ts";

/** Machines of a busy host bake for a minute; nobody waits for the clock in this test. */
const START_TIMEOUT_MS = 300_000;
const READY = /Atoll is ready/;
const COUNTER = 'n=0; while :; do n=$((n+1)); echo "$$ $n" > /tmp/count; sleep 0.5; done';
const holder = z.object({ pid: z.number() });

it("starts, stops, is killed half-way through a start and starts again; what ran in a machine runs on", async () => {
  // Installing packages below the running tests would end them.
  expect(difference(repository)).toBeUndefined();
  await using scope = new Scope();
  const data = await mkdtemp(join(tmpdir(), "atoll-npm-start-"));
  scope.defer(() => rm(data, { recursive: true, force: true }));
  const census = new HostCensus(data);
  scope.defer(async () => {
    // Nothing, unless something failed.
    for (const pid of await census.processes()) process.kill(pid, "SIGKILL");
    await census.endWhatIsLeft();
  });
  const ports = await startPorts();
  const environment = {
    ...ports,
    ATOLL_DATA: data,
    ATOLL_CACHE: process.env.ATOLL_CACHE ?? resolve(repository, ".data/cache"),
    ATOLL_POOL_SIZE: "0",
  };
  const start = () => scope.own(new StartProcess(environment));
  const workspace = new StartedWorkspace(data, ports);

  const first = start();
  await first.printed(READY, START_TIMEOUT_MS);
  expect(first.text).toContain(`http://localhost:${ports.ATOLL_WEB_PORT}`);
  const signUp = await fetch(`http://localhost:${ports.ATOLL_WEB_PORT}/signup`);
  expect(signUp.status).toBe(200);
  await workspace.create();
  await workspace.run("bash", "-c", `setsid bash -c '${COUNTER}' >/dev/null 2>&1 </dev/null &`);
  const begun = await workspace.countAbove(0);
  const besides = start();
  expect(await besides.exited()).toBe(1);
  expect(besides.text).toMatch(/Atoll already runs on .*[\s\S]*What to do: Stop that one first/);

  first.signal("SIGINT");
  expect(await first.exited()).toBe(0);
  expect(await workspace.record()).toMatchObject({ state: "paused", pausedIn: "disk", machine: null });
  await checkStopped(census, AbortSignal.timeout(START_TIMEOUT_MS));

  const second = start();
  await second.printed(/ ok {3}Database /, START_TIMEOUT_MS);
  // The process that starts everything, not the one in front of it: nobody can stop anything in order.
  process.kill(holder.parse(JSON.parse(await readFile(join(data, "run/start.json"), "utf8"))).pid, "SIGKILL");
  expect(await second.exited()).toBe(128 + 9);
  expect(second.text).not.toMatch(READY);

  const third = start();
  await third.printed(READY, START_TIMEOUT_MS);
  for (const [step, result] of Object.entries(NOTHING_TO_DO))
    expect(third.resultOf(step), step).toMatch(result);
  for (const log of ["build-vmm.log", "build-image-base.log"]) {
    expect(await readFile(join(data, "logs", log), "utf8"), log).toBe("");
  }
  await workspace.resume();
  const later = await workspace.countAbove(begun.count);
  expect(later.pid).toBe(begun.pid);
  expect(await workspace.countAbove(later.count)).toMatchObject({ pid: begun.pid });

  third.signal("SIGTERM");
  expect(await third.exited()).toBe(0);
  await checkStopped(census, AbortSignal.timeout(START_TIMEOUT_MS));
}, 900_000);

const NOTHING_TO_DO = {
  "Debian packages": /^\d+ present$/,
  "npm packages": /^as locked$/,
  "Database client": /^unchanged$/,
  "QEMU in a root of its own": /^QEMU /,
  "Guest image": /^base /,
  "Web app": /^unchanged$/,
  Database: /^up to date$/,
  "First template": /^there already$/,
};

/** One workspace of the started host, asked as web and a tab ask. */
class StartedWorkspace {
  readonly #id = randomUUID();
  readonly #ownerId = randomUUID();
  readonly #data: string;
  readonly #gatewayPort: number;
  readonly #webUrl: string;

  constructor(data: string, ports: Awaited<ReturnType<typeof startPorts>>) {
    this.#data = data;
    this.#gatewayPort = Number(ports.ATOLL_GATEWAY_PORT);
    this.#webUrl = `http://localhost:${ports.ATOLL_WEB_PORT}`;
  }

  async create(): Promise<void> {
    const { cpus, memoryMb, diskMb } = PLANS.free;
    await this.#send("PUT", "", {
      ...{ ownerId: this.#ownerId, slug: `start-${this.#id.slice(0, 8)}`, image: "base" },
      ...{ cpus, memoryMb, diskMb, egress: "off", idlePauseSeconds: 3600 },
    });
  }

  async resume(): Promise<void> {
    await this.#send("POST", "/resume", {});
  }

  /** Through the gateway, as a tab. */
  async run(...argv: string[]): Promise<string> {
    const stack = { layout: makeLayout(this.#data), webUrl: this.#webUrl };
    const owner = { stack, ownerId: this.#ownerId };
    using session = await openBrowserSession(owner, this.#id, this.#gatewayPort);
    return await runInGuest(session.mux, ...argv);
  }

  /** Once the counter has gone beyond `least`. */
  async countAbove(least: number): Promise<{ pid: number; count: number }> {
    const look = 'until { read -r pid n < /tmp/count; } 2>/dev/null && [ "$n" -gt "$1" ]; do sleep 0.1; done';
    const seen = await this.run("bash", "-c", `${look} 2>/dev/null; echo "$pid $n"`, "bash", String(least));
    const [pid = 0, count = 0] = seen.split(" ").map(Number);
    return { pid, count };
  }

  async record(): Promise<unknown> {
    const path = join(this.#data, "journal", "workspaces", `${this.#id}.json`);
    return JSON.parse(await readFile(path, "utf8"));
  }

  #send(method: string, path: string, body: unknown): Promise<unknown> {
    const socket = join(this.#data, "run", "hostd.sock");
    return new HostdClient(socket).send(method, `/v1/workspaces/${this.#id}${path}`, body);
  }
}
