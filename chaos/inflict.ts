/** Does to the system what the plan says, at its moment, and knows whether it happened. */
import { setTimeout as delay } from "node:timers/promises";
import type { Mux } from "@atoll/protocol/mux";
import type { ChaosHost } from "./chaos-host.ts";
import { type CyclePlan, type Fault, isInGuest } from "./cycle-plan.ts";
import { runInGuest } from "./in-guest.ts";

/** Well below every deadline: what stands still so briefly has to go on as if nothing had been. */
const STALL_MS = 3000;
/** How long a process that is not there may take to appear. */
const APPEARS_WITHIN_MS = 4000;
/** Of the second kill: while the next hostd recovers. */
const AGAIN_WITHIN_MS = 1500;
const POLL_MS = 10;

/** As root, in the guest. The agent is the parent of what it runs. */
const IN_GUEST: Partial<Record<Fault, string>> = {
  halt: "sudo poweroff -f",
  reboot: "sudo reboot -f",
  panic: "echo c | sudo tee /proc/sysrq-trigger",
  agent: 'sudo kill -KILL "$agent"',
};

/** Which boot of the guest this is, and which life of its agent. */
export function lifeOf(mux: Mux): Promise<string> {
  return runInGuest(mux, "sh", "-c", 'echo "$(cat /proc/sys/kernel/random/boot_id) $PPID"');
}

/** Leaves it to the guest to do it after `delayMs` of its own time. @returns the life that this will end */
export async function armInGuest(mux: Mux, fault: Fault, delayMs: number): Promise<string> {
  const action = IN_GUEST[fault];
  if (action === undefined) throw new TypeError(`${fault} is none of the guest's`);
  const life = await lifeOf(mux);
  const late = `sleep ${(delayMs / 1000).toFixed(2)}; ${action}`;
  await runInGuest(mux, "sh", "-c", `agent=$PPID setsid sh -c '${late}' >/dev/null 2>&1 </dev/null &`);
  return life;
}

/** On the host, `delayMs` from now. @returns false when there was nothing to do it to */
export async function inflict(
  host: ChaosHost,
  { fault }: Pick<CyclePlan, "fault">,
  delayMs: number,
  turn: number,
): Promise<boolean> {
  if (fault === "nobody" || isInGuest(fault)) return true;
  await delay(delayMs);
  const hit = await strike(host, fault, turn);
  host.trace.note(`${fault} was ${hit ? "hit" : "not there"}`);
  return hit;
}

async function strike(host: ChaosHost, fault: Fault, turn: number): Promise<boolean> {
  host.trace.note(`${fault} is struck`);
  switch (fault) {
    case "vmm":
      return signalled(await machinePid(host), "SIGKILL");
    case "vmm_stop":
      return signalled(await machinePid(host), "SIGSTOP");
    case "vmm_stall": {
      const pid = await machinePid(host);
      if (!signalled(pid, "SIGSTOP")) return false;
      await delay(STALL_MS);
      // Gone, if it was ended meanwhile: then it was hit all the same.
      signalled(pid, "SIGCONT");
      return true;
    }
    case "hostd_twice": {
      const first = host.stack.pids().hostd;
      if (!signalled(first, "SIGKILL")) return false;
      const next = await appears(async () => {
        const { hostd } = host.stack.pids();
        return hostd === first ? undefined : hostd;
      });
      await delay(turn * AGAIN_WITHIN_MS);
      return signalled(next, "SIGKILL");
    }
    case "hostd":
    case "gateway":
    case "web":
    case "postgres":
      return signalled(await appears(async () => host.stack.pids()[fault]), "SIGKILL");
    default:
      throw new TypeError(`no way to do ${fault}`);
  }
}

const machinePid = (host: ChaosHost) => appears(() => host.machinePid());

async function appears(find: () => Promise<number | undefined>): Promise<number | undefined> {
  const endMs = performance.now() + APPEARS_WITHIN_MS;
  for (;;) {
    const pid = await find();
    if (pid !== undefined || performance.now() > endMs) return pid;
    await delay(POLL_MS);
  }
}

function signalled(pid: number | undefined, signal: NodeJS.Signals): boolean {
  if (pid === undefined) return false;
  try {
    process.kill(pid, signal);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    return false;
  }
}
