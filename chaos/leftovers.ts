import type { ChaosHost } from "./chaos-host.ts";
import type { HostCensus } from "./host-census.ts";

/** What ends may take a moment: a killed process gives its memory back, old layers are removed behind the answer. */
const GONE_WITHIN_MS = 60_000;

/**
 * After a cycle, with the workspace running: one machine has its disk, hostd knows that very process, one hostd has the
 * lease, and of everything that ended or was under way nothing is left.
 */
export async function checkTidy(host: ChaosHost, census: HostCensus, signal: AbortSignal): Promise<void> {
  await untilNothing(signal, async () => {
    const { disk, machine } = await host.record();
    if (disk === null || machine === null) return ["the record names no machine"];
    const machines = await census.machines();
    const monitors = machines.flatMap(({ monitorPids }) => monitorPids);
    const named = new Set(machines.map(({ machineId }) => machineId));
    const [lease, ...others] = await census.leases();
    const { hostd } = host.stack.pids();
    return [
      ...machines.filter(({ machineId }) => machineId !== machine.machineId).map(wordOf),
      ...(monitors.length === 1 && monitors[0] === machine.pid
        ? []
        : [`monitors ${monitors}, the record names ${machine.pid}`]),
      ...(machines.some(({ diskIds }) => diskIds.length === 1 && diskIds[0] === disk.diskId)
        ? []
        : [`no machine with exactly the disk ${disk.diskId}: ${machines.map(wordOf)}`]),
      ...(await census.machineDirectories())
        .filter(({ machineId }) => !named.has(machineId))
        .map(({ path }) => path),
      ...(await census.diskIds()).filter((name) => name !== disk.diskId).map((name) => `workspaces/${name}`),
      ...(await census.strayParts(disk.diskId)),
      ...(await census.strayFiles({ isUp: true })),
      ...(lease !== undefined && others.length === 0 && lease.pid === hostd
        ? []
        : [`hostd is ${hostd}, leases are ${JSON.stringify([lease, ...others])}`]),
    ];
  });
}

/** Sealed: its machine is gone, and the jail around it ends as soon as it is told. */
export async function checkSealed(host: ChaosHost, census: HostCensus, signal: AbortSignal): Promise<void> {
  const { disk } = await host.record();
  const left = async () =>
    (await census.machines()).filter(({ diskIds }) => disk === null || diskIds.includes(disk.diskId));
  const alive = (await left()).filter(({ monitorPids }) => monitorPids.length > 0);
  if (alive.length > 0) throw new Error(`sealed, and it lives: ${alive.map(wordOf)}`);
  await untilNothing(signal, async () => (await left()).map(wordOf));
}

/** After the workspace was deleted, of a host without a pool. */
export async function checkDeleted(census: HostCensus, signal: AbortSignal): Promise<void> {
  await untilNothing(signal, async () => [
    ...(await census.machines()).map(wordOf),
    ...(await census.machineDirectories()).map(({ path }) => path),
    ...(await census.diskIds()),
    ...(await census.strayFiles({ isUp: true })),
  ]);
}

/** After the stack was stopped: no process, no socket, nothing in memory. */
export async function checkStopped(census: HostCensus, signal: AbortSignal): Promise<void> {
  await untilNothing(signal, async () => [
    ...(await census.processes()).map((pid) => `process ${pid}`),
    ...(await census.machineDirectories()).map(({ path }) => path),
    ...(await census.strayFiles({ isUp: false })),
    ...((await census.isInMemory()) ? [census.memoryPlace] : []),
  ]);
}

const wordOf = ({
  machineId,
  monitorPids,
  jailPids,
  diskIds,
}: Awaited<ReturnType<HostCensus["machines"]>>[0]) =>
  `machine ${machineId} (monitors ${monitorPids}, jails ${jailPids}, disks ${diskIds})`;

async function untilNothing(signal: AbortSignal, look: () => Promise<string[]>): Promise<void> {
  const endMs = performance.now() + GONE_WITHIN_MS;
  for (;;) {
    signal.throwIfAborted();
    // What vanishes while it is looked at is looked at again.
    const left = await look().catch((error: unknown) => [String(error)]);
    if (left.length === 0) return;
    if (performance.now() > endMs) throw new Error(`left over: ${left.join("; ")}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
