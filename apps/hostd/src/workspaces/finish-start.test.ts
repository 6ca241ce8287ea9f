import { FIRST_LINK_TOKEN } from "@atoll/protocol/link-handshake";
import { expect, it } from "vitest";
import { FakeHost } from "../testing/fake-host.ts";

const POLL = { interval: 1, timeout: 10_000 };

/** hostd ends in the middle of a start whose guest takes `silentMs` to answer anything. */
async function finishedStart(reason: "boot" | "resume", silentMs: number, isStuck = false) {
  const host = await FakeHost.start();
  const before = await host.create();
  const { machine } = host.source;
  const expectedToken = reason === "boot" ? FIRST_LINK_TOKEN : before.record.linkToken;
  Object.assign(machine.guest, { expectedToken, answer: undefined });
  const handshake = { reason, expectedToken } as const;
  await host.journal.writeWorkspace({ ...before.record, state: "resuming", handshake });
  host.life.kill();
  const next = await FakeHost.start({ previous: host });
  host.source.machine.isStuck = isStuck;
  const workspace = next.registry.get(before.id);
  const beganMs = host.clock.now();
  const endMs = host.clock.now() + silentMs;
  await expect
    .poll(() => {
      host.clock.advance(1000);
      return host.clock.now() >= endMs || workspace.status.state !== "resuming";
    }, POLL)
    .toBe(true);
  machine.guest.answer = {};
  await expect
    .poll(() => {
      host.clock.advance(1000);
      return workspace.status.state;
    }, POLL)
    .not.toBe("resuming");
  const { status } = workspace;
  const { isGone } = host.source.machine;
  await host[Symbol.asyncDispose]();
  return { status, isGone, tookMs: host.clock.now() - beganMs };
}

it.each(["boot", "resume"] as const)(
  "waits for a guest on a busy host as long as an undisturbed start would: %s",
  async (reason) => {
    const { status, isGone } = await finishedStart(reason, reason === "boot" ? 200_000 : 45_000);
    expect(status).toMatchObject({ state: "running", startedBy: reason, reason: "host_restarted" });
    expect(status.lostMemory).toBeUndefined();
    expect(isGone).toBe(false);
  },
);

it("gives up on one that never answers, and says that its memory is lost", async () => {
  const { status, isGone } = await finishedStart("resume", 600_000);
  expect(status).toMatchObject({ state: "stopped", lostMemory: { code: "vm.agent_silent" } });
  expect(isGone).toBe(true);
});

it.each(["boot", "resume"] as const)(
  "does not wait for the guest of a monitor that obeys nothing: %s",
  async (reason) => {
    const { status, isGone, tookMs } = await finishedStart(reason, 600_000, true);
    expect(status.state).toBe("stopped");
    expect(status.lostMemory?.code).toBe(reason === "boot" ? undefined : "vm.monitor_failed");
    expect(isGone).toBe(true);
    // Of the simulated clock: the deadline of a start is not what ended it.
    expect(tookMs).toBeLessThan(45_000);
  },
);
