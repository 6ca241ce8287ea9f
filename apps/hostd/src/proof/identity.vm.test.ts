/** I13 on real machines: what begins from one template or one memory is somebody else from its first answer on. */
import { randomUUID } from "node:crypto";
import type { WorkspaceStatus } from "@atoll/protocol/workspace-status";
import { afterAll, beforeAll, expect, test } from "vitest";
import { HostdProcess } from "./testing/hostd-process.ts";

/** Each line must differ between any two machines. */
const FACTS = [
  "head -c 32 /dev/urandom | od -An -vtx1 | tr -d ' \\n'; echo",
  "cat /proc/sys/kernel/random/uuid",
  "cat /etc/machine-id",
  "hostname",
];
const NAMES = ["random bytes", "kernel uuid", "machine id", "hostname"];

let hostd: HostdProcess;

beforeAll(async () => {
  hostd = await HostdProcess.start({ ATOLL_POOL_SIZE: "0" });
});
afterAll(() => hostd?.[Symbol.asyncDispose]());

async function factsOf(workspace: WorkspaceStatus): Promise<string[]> {
  const facts = (await hostd.shell(workspace, FACTS.join("; "))).split("\n");
  expect(facts).toHaveLength(FACTS.length);
  for (const fact of facts) expect(fact.length).toBeGreaterThan(3);
  return facts;
}

test("two restores of one template and two live forks with memory share neither randomness nor name", {
  timeout: 400_000,
}, async () => {
  const first = await hostd.create({ slug: "first-reef" });
  const second = await hostd.create({ slug: "second-reef" });
  // A process of the first whose memory its forks go on with.
  const counter =
    "setsid sh -c 'while :; do n=$((n+1)); echo $n >/dev/shm/ticks; sleep 0.2; done' >/dev/null 2>&1 &";
  const pid = await hostd.shell(first, `echo kept >/dev/shm/kept; ${counter} echo $!`);
  const origin = { kind: "workspace" as const, workspaceId: first.workspaceId };
  const forks: WorkspaceStatus[] = [];
  for (const slug of ["third-reef", "fourth-reef"]) forks.push(await hostd.create({ slug, origin }));
  for (const fork of forks) {
    expect(fork).toMatchObject({ state: "running", startedBy: "fork" });
    expect(await hostd.shell(fork, `cat /dev/shm/kept; kill -0 ${pid} && echo alive`)).toBe("kept\nalive");
  }
  const facts = await Promise.all([first, second, ...forks].map(factsOf));
  for (const [index, name] of NAMES.entries()) {
    const values = facts.map((one) => one[index]);
    expect(new Set(values).size, `${name}: ${values.join(", ")}`).toBe(values.length);
  }
  // Nor does a checkpoint with memory, begun from twice.
  const checkpointId = randomUUID();
  const at = `/v1/workspaces/${second.workspaceId}/checkpoints/${checkpointId}`;
  await hostd.ask("PUT", at, { name: "once", withMemory: true });
  const from = { kind: "checkpoint" as const, workspaceId: second.workspaceId, checkpointId };
  const twins = [
    await hostd.create({ slug: "fifth-reef", origin: from }),
    await hostd.create({ slug: "sixth-reef", origin: from }),
  ];
  const twinFacts = await Promise.all([second, ...twins].map(factsOf));
  for (const [index, name] of NAMES.entries()) {
    const values = twinFacts.map((one) => one[index]);
    expect(new Set(values).size, `${name}: ${values.join(", ")}`).toBe(values.length);
  }
});
