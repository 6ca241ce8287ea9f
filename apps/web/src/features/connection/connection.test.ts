import { ManualClock } from "@atoll/base/manual-clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { SocketAuth } from "@atoll/protocol/gateway-events";
import { describe, expect, it } from "vitest";
import { FakeHost, runningStatus } from "../testing/fake-host.ts";
import { Connection, type ConnectionOptions } from "./connection.ts";

function connect(
  host: FakeHost,
  fetchTicket = async () => "ticket",
  purpose: ConnectionOptions["purpose"] = "workspace",
) {
  const clock = new ManualClock();
  const connection = new Connection({
    openTransport: host.openTransport,
    fetchTicket,
    tabId: "00000000-0000-4000-8000-000000000001",
    purpose,
    clock,
    random: () => 0.5,
  });
  connection.start();
  return { connection, clock };
}

const asleep = { ...runningStatus, state: "paused", reason: "idle" } as const;

/** The connection is lost and comes back to a workspace in this state. */
async function comesBack(host: FakeHost, clock: ManualClock, status?: typeof runningStatus): Promise<void> {
  host.cut(new AtollError("link.lost"));
  clock.advance(400);
  await host.accepts(status);
}

const phaseOf = (connection: Connection) => connection.state.get().phase;

describe("connection", () => {
  it("runs what attaches on every link anew, and ends it with the link", async () => {
    const host = new FakeHost();
    const { connection, clock } = connect(host);
    const log: string[] = [];
    connection.onLink(async ({ signal }) => {
      log.push("attached");
      signal.addEventListener("abort", () => log.push("ended"));
    });
    await host.accepts();
    expect(log).toEqual(["attached"]);
    host.cut(new AtollError("link.lost"));
    expect(phaseOf(connection)).toMatchObject({ name: "waiting", retryAtMs: clock.now() + 400 });
    clock.advance(400);
    await host.accepts();
    expect(log).toEqual(["attached", "ended", "attached"]);
    expect(host.auths).toHaveLength(2);
    connection.close();
  });

  it("gives up the link while the machine is paused and takes it up again", async () => {
    const host = new FakeHost();
    const { connection } = connect(host);
    await host.accepts();
    expect(connection.hasLink).toBe(true);
    await host.reports({ ...runningStatus, state: "paused" });
    expect(connection.hasLink).toBe(false);
    expect(() => connection.link).toThrowError(expect.objectContaining({ code: "link.lost" }));
    connection.wake();
    await host.settled();
    expect(host.commands).toEqual([{ type: "wake" }]);
    await host.reports({ ...runningStatus, generation: 2 });
    expect(connection.hasLink).toBe(true);
    connection.close();
  });

  it("wakes a sleeping machine when the page is opened, but not when it pauses later", async () => {
    const host = new FakeHost();
    const { connection } = connect(host);
    await host.accepts({ ...runningStatus, state: "paused" });
    await host.settled();
    expect(host.commands).toEqual([{ type: "wake" }]);
    await host.reports(runningStatus);
    await host.reports({ ...runningStatus, state: "paused" });
    expect(host.commands).toHaveLength(1);
    connection.close();
  });

  it("does not try again where trying cannot help, and takes over when told to", async () => {
    const host = new FakeHost();
    const { connection, clock } = connect(host);
    await host.refuses(new AtollError("plan.session_limit", undefined, { details: { limit: 1 } }));
    expect(phaseOf(connection)).toMatchObject({ name: "refused", error: { code: "plan.session_limit" } });
    expect(clock.pendingCount).toBe(0);
    connection.takeOver();
    await host.accepts();
    expect(host.auths.map(({ takeOver }: SocketAuth) => takeOver)).toEqual([false, true]);
    await host.refuses(new AtollError("session.taken_over"));
    expect(phaseOf(connection)).toMatchObject({ name: "refused", error: { code: "session.taken_over" } });
    connection.close();
  });

  it("waits longer after each failure and starts over once it was in", async () => {
    const host = new FakeHost();
    const { connection, clock } = connect(host);
    const delays: number[] = [];
    for (let attempt = 0; attempt < 7; attempt += 1) {
      host.cut(new AtollError("link.lost"));
      const phase = phaseOf(connection);
      if (phase.name !== "waiting") throw new Error("not waiting");
      delays.push(phase.retryAtMs - clock.now());
      clock.advance(delays.at(-1) ?? 0);
    }
    expect(delays).toEqual([400, 800, 1600, 3200, 6400, 12_800, 15_000]);
    await host.accepts();
    host.cut(new AtollError("link.lost"));
    expect(phaseOf(connection)).toMatchObject({ retryAtMs: clock.now() + 400 });
    connection.close();
  });

  it("takes silence after the hello for a loss", async () => {
    const host = new FakeHost();
    const { connection, clock } = connect(host);
    clock.advance(15_000);
    expect(phaseOf(connection)).toMatchObject({ name: "waiting", error: { code: "request.timeout" } });
    connection.close();
    expect(clock.pendingCount).toBe(0);
  });

  it("attaches again after a reset while the link is up", async () => {
    const host = new FakeHost();
    const { connection, clock } = connect(host);
    let runs = 0;
    connection.onLink(async () => {
      runs += 1;
      if (runs === 1) throw new AtollError("stream.reset");
    });
    await host.accepts();
    await host.settled();
    clock.advance(300);
    await host.settled();
    expect(runs).toBe(2);
    connection.close();
  });

  it("wakes nothing in a tab that the browser brought back, until somebody asks", async () => {
    const host = new FakeHost();
    const { connection } = connect(host, undefined, "restored-tab");
    await host.accepts({ ...runningStatus, state: "paused" });
    expect(host.commands).toEqual([]);
    expect(connection.state.get().isWaking).toBe(false);
    connection.wake();
    await host.settled();
    expect(host.commands).toEqual([{ type: "wake" }]);
    expect(connection.state.get().isWaking).toBe(true);
    await host.reports({ ...runningStatus, state: "paused", errorCode: "host.full" });
    expect(connection.state.get().isWaking).toBe(false);
    connection.close();
  });

  it("does not wake again after a pause, however often the network comes and goes", async () => {
    const host = new FakeHost();
    const { connection, clock } = connect(host);
    await host.accepts();
    await host.reports(asleep);
    await comesBack(host, clock, asleep);
    expect(host.commands).toEqual([]);
    connection.close();
  });

  it("wakes it for what was typed while it could not be reached, once", async () => {
    const host = new FakeHost();
    const { connection, clock } = connect(host);
    await host.accepts();
    host.cut(new AtollError("link.lost"));
    connection.typedWithoutLink();
    clock.advance(400);
    await host.accepts(asleep);
    await host.settled();
    expect(host.commands).toEqual([{ type: "wake" }]);
    await host.reports({ ...runningStatus, generation: 2 });
    await host.reports({ ...asleep, generation: 3 });
    await comesBack(host, clock, { ...asleep, generation: 3 });
    expect(host.commands).toHaveLength(1);
    connection.close();
  });

  it("forgets what was typed away from it when it turns out to run", async () => {
    const host = new FakeHost();
    const { connection, clock } = connect(host);
    await host.accepts();
    host.cut(new AtollError("link.lost"));
    connection.typedWithoutLink();
    clock.advance(400);
    await host.accepts();
    await host.reports(asleep);
    await comesBack(host, clock, asleep);
    expect(host.commands).toEqual([]);
    connection.close();
  });

  it("wakes a machine that sleeps when somebody types, and asks once", async () => {
    const host = new FakeHost();
    const { connection } = connect(host);
    await host.accepts();
    connection.typedWithoutLink();
    await host.reports(asleep);
    expect(host.commands).toEqual([]);
    connection.typedWithoutLink();
    connection.typedWithoutLink();
    await host.settled();
    expect(host.commands).toEqual([{ type: "wake" }]);
    connection.close();
  });

  it("has a link to a view whatever the workspace does, and never wakes it", async () => {
    const host = new FakeHost();
    const { connection } = connect(host, undefined, "view");
    await host.accepts({ ...runningStatus, state: "stopped" });
    await host.notices("view.repaired");
    await host.reports({ ...runningStatus, state: "paused" });
    expect(connection.hasLink).toBe(true);
    expect(connection.state.get().isRepaired).toBe(true);
    expect(host.commands).toEqual([]);
    connection.close();
  });

  it("says why a machine did not wake, until it is asked again", async () => {
    const host = new FakeHost();
    const { connection } = connect(host);
    await host.accepts({ ...runningStatus, state: "stopped" });
    await host.notices("host.full");
    expect(connection.state.get()).toMatchObject({ isWaking: false, wakeError: { code: "host.full" } });
    connection.wake();
    expect(connection.state.get()).toMatchObject({ isWaking: true, wakeError: undefined });
    connection.close();
  });

  it("tells that somebody is there only while it is connected", async () => {
    const host = new FakeHost();
    const { connection } = connect(host);
    connection.tellActive();
    await host.accepts();
    connection.tellActive();
    await host.settled();
    expect(host.commands).toEqual([{ type: "active" }]);
    connection.close();
  });
});
