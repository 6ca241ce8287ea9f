/** Leaves `running` by the path of a plan and begins to come back. */
import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { WorkspaceState, WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { type ChaosHost, NEVER_IDLE_SECONDS } from "./chaos-host.ts";
import type { CyclePath, CyclePlan, Fault } from "./cycle-plan.ts";
import { PAUSE_GRACE_SECONDS } from "./env.ts";
import type { HostCensus } from "./host-census.ts";
import { runInGuest } from "./in-guest.ts";
import { checkSealed } from "./leftovers.ts";
import { UserTab } from "./user-tab.ts";

/** A cold boot on two busy cores, behind a hostd that is being restarted, behind deadlines that had to pass. */
export const BACK_TIMEOUT_MS = 600_000;
/** Seconds by itself: how busy the machine is, is not what is tested. */
const SEALED_TIMEOUT_MS = 180_000;
const IDLE_TIMEOUT_MS = 180_000;
const IDLE_SECONDS = 2;
/** Around the moment at which the idle time ends. */
const RETURN_EARLY_MS = 300;
const RETURN_SPREAD_MS = 600;
const TABS = 3;

export interface PathContext {
  host: ChaosHost;
  census: HostCensus;
  tab: UserTab;
  gatewayPort: number;
  signal: AbortSignal;
}

/** The idle time counts from what is done after this. */
export async function prepareFor(path: CyclePath, { host }: PathContext): Promise<void> {
  if (path === "idle" || path === "return") await host.setIdle(IDLE_SECONDS);
}

/** In every case what `prepareFor` did is undone, whatever restart is under way. */
export async function takePath(plan: CyclePlan, context: PathContext): Promise<void> {
  const { host, signal } = context;
  const isIdle = plan.path === "idle" || plan.path === "return";
  try {
    await PATHS[plan.path](plan, context);
  } finally {
    if (isIdle) {
      const undo = () => host.setIdle(NEVER_IDLE_SECONDS).then(() => true);
      await host.until("idle time set back", BACK_TIMEOUT_MS, undo, signal);
    }
  }
}

const PATHS: Record<CyclePath, (plan: CyclePlan, context: PathContext) => Promise<void>> = {
  async grace({ fault }, { host }) {
    const pid = await host.machinePid();
    const startedMs = performance.now();
    const paused = await host.post("pause");
    if (paused.pausedIn !== "memory") throw deviation(fault, `${paused.state} in ${paused.pausedIn}`);
    await host.post("resume");
    // On a machine that stood still meanwhile it was not.
    const isWithin = performance.now() - startedMs < PAUSE_GRACE_SECONDS * 1000;
    if (fault === "nobody" && isWithin && (await host.machinePid()) !== pid) {
      throw new Error("the return within the grace time got another process");
    }
  },

  async sealed(plan, context) {
    await context.host.post("pause");
    await sealed("requested", plan, context);
    await context.host.post("resume");
  },

  async tabs(plan, context) {
    const { host, signal, gatewayPort } = context;
    const { generation } = await host.post("pause");
    if (plan.turn < 0.5) await sealed("requested", plan, context);
    const tabs = Array.from({ length: TABS }, () => new UserTab(host, gatewayPort));
    try {
      const entering = tabs.map((tab) => tab.enter(BACK_TIMEOUT_MS, signal));
      await allOf([host.post("resume"), ...entering]);
    } finally {
      for (const tab of tabs) tab[Symbol.dispose]();
    }
    const after = await host.status();
    if (plan.fault === "nobody" && after.generation !== generation + 1) {
      throw new Error(`${TABS} tabs began ${after.generation - generation} starts`);
    }
  },

  async drain(plan, context) {
    const { host, signal } = context;
    const pid = host.stack.pids().hostd;
    if (pid !== undefined) process.kill(pid, "SIGTERM");
    await host.until(
      "another hostd",
      BACK_TIMEOUT_MS,
      async () => (host.stack.pids().hostd !== pid && (await host.isHealthy()) ? true : undefined),
      signal,
    );
    await sealed("host_shutdown", plan, context);
  },

  async restore(_plan, { host, tab, signal }) {
    const checkpointId = randomUUID();
    await host.checkpoint(checkpointId);
    // Of this cycle: where one before was cut off ahead of its restore, its own is there for good.
    const later = `/workspace/later-${checkpointId}`;
    const before = await tab.enter(BACK_TIMEOUT_MS, signal);
    await runInGuest(before.mux, "sh", "-c", `echo later > ${later} && sync ${later}`);
    await host.restore(checkpointId, randomUUID());
    const { mux } = await tab.enter(BACK_TIMEOUT_MS, signal);
    const found = await runInGuest(mux, "sh", "-c", `test -e ${later} && echo there || echo gone`);
    if (found !== "gone") throw new Error("what came after the checkpoint is still there");
    await host.deleteCheckpoints();
  },

  async idle(plan, { host, signal }) {
    await host.until(
      "paused for idleness",
      IDLE_TIMEOUT_MS,
      async () => {
        const { state, reason } = await host.status();
        if (state === "paused" && reason === "idle") return true;
        return plan.fault !== "nobody" && hasFallen(state) ? true : undefined;
      },
      signal,
    );
  },

  async return(plan, { host, tab, gatewayPort, signal }) {
    const pausesAtMs = await host.until(
      "seen to be idle",
      IDLE_TIMEOUT_MS,
      async () => {
        const { state, pausesAtMs } = await host.status();
        return state === "running" ? pausesAtMs : Date.now();
      },
      signal,
    );
    const returnsAtMs = pausesAtMs - RETURN_EARLY_MS + plan.turn * RETURN_SPREAD_MS;
    await delay(Math.max(0, returnsAtMs - Date.now()));
    using other = new UserTab(host, gatewayPort);
    await allOf([tab.enter(BACK_TIMEOUT_MS, signal), other.enter(BACK_TIMEOUT_MS, signal)]);
  },
};

/** Fails as the first of them that failed, once all are over: a tab that is still on its way would stay. */
async function allOf(promises: readonly Promise<unknown>[]): Promise<void> {
  await Promise.allSettled(promises);
  await Promise.all(promises);
}

/** Nothing of it runs and its memory is on the disk. @throws AtollError when harm took another way */
async function sealed(
  reason: WorkspaceStatus["reason"],
  plan: CyclePlan,
  { host, census, signal }: PathContext,
): Promise<void> {
  const status = await host.until(
    "sealed",
    SEALED_TIMEOUT_MS,
    async () => {
      const now = await host.status();
      const isSealed = now.state === "paused" && now.pausedIn === "disk";
      // Where only harm can have led: waiting on for what would have been makes no sense.
      const isOver = plan.fault !== "nobody" && (now.state === "running" || hasFallen(now.state));
      return isSealed || isOver ? now : undefined;
    },
    signal,
  );
  if (status.state !== "paused") throw deviation(plan.fault, `it is ${status.state}`);
  if (plan.fault !== "nobody") return;
  if (status.reason !== reason) throw new Error(`paused for ${status.reason}, not ${reason}`);
  await checkSealed(host, census, signal);
}

const hasFallen = (state: WorkspaceState): boolean => state === "stopped" || state === "failed";

/** Harm may lead elsewhere; without any it is a fault. */
function deviation(fault: Fault, text: string): Error {
  return fault === "nobody" ? new Error(text) : new AtollError("workspace.not_running", text);
}
