/** Puts the parts of hostd together. Listens only once every workspace of the journal has recovered. */
import { readFile } from "node:fs/promises";
import { totalmem } from "node:os";
import { join } from "node:path";
import { systemClock } from "@atoll/base/clock";
import { Scope } from "@atoll/base/scope";
import { useFileOps, withFileOps } from "@atoll/durable/file-ops";
import { replaceFile } from "@atoll/durable/replace-file";
import { AtollError } from "@atoll/protocol/atoll-error";
import { isPlanSize } from "@atoll/protocol/plans";
import type { Logger } from "pino";
import { ApiServer } from "./api/api-server.ts";
import { hostResolver } from "./egress/resolve-host.ts";
import { WorkspaceEgress } from "./egress/workspace-egress.ts";
import type { HostdEnv } from "./env.ts";
import { HostLease } from "./lease/host-lease.ts";
import { thisPlace } from "./lease/lease-holder.ts";
import { leasedFileOps } from "./lease/leased-file-ops.ts";
import { openMachineHost } from "./machine-host.ts";
import { LinkSocketServer } from "./sessions/link-socket-server.ts";
import { Revocations } from "./sessions/revocations.ts";
import { SessionRegistry } from "./sessions/session-registry.ts";
import { TicketVerifier } from "./sessions/ticket-verifier.ts";
import { restorePaths } from "./views/restore-paths.ts";
import { ViewRegistry } from "./views/view-registry.ts";
import { Admission, freeDiskBytesOf } from "./workspaces/admission.ts";
import { WorkspaceJournal } from "./workspaces/journal/workspace-journal.ts";
import type { WorkspaceRecord } from "./workspaces/journal/workspace-record.ts";
import type { Guard } from "./workspaces/operation-queue.ts";
import { StageTimings } from "./workspaces/stage-timings.ts";
import { StatusFeed } from "./workspaces/status-feed.ts";
import { WorkspaceRegistry } from "./workspaces/workspace-registry.ts";

const MEBIBYTE = 1024 * 1024;
/** The rest is for this host's own processes and the page cache. */
const MACHINE_SHARE_OF_MEMORY = 0.75;

export interface Hostd {
  /** Pauses what runs and closes everything; what could not be paused runs on, for the next start to adopt. */
  drain(): Promise<{ leftCount: number }>;
  /** Resolves when another hostd took the data over: this one has stopped doing anything, and ends. */
  readonly leaseLost: Promise<AtollError>;
}

/** @throws AtollError host.lease_lost while another hostd has the data */
export async function startHostd(env: HostdEnv, logger: Logger): Promise<Hostd> {
  const scope = new Scope();
  const lost = Promise.withResolvers<AtollError>();
  try {
    const lease = scope.own(
      await HostLease.acquire({ directory: env.ATOLL_DATA, clock: systemClock, onLost: lost.resolve }),
    );
    logger.info({ generation: lease.generation }, "lease taken");
    // Whatever any part of this process writes durably, it writes under the lease.
    const ops = leasedFileOps(lease);
    scope.defer(useFileOps(ops));
    const underLease: Guard = async (operation) => {
      await lease.check();
      return withFileOps(ops, operation);
    };
    return await underLease(() => start(env, logger, { scope, lease, underLease, lost: lost.promise }));
  } catch (error) {
    await scope.close();
    throw error;
  }
}

interface Held {
  scope: Scope;
  lease: HostLease;
  underLease: Guard;
  lost: Promise<AtollError>;
}

async function start(
  env: HostdEnv,
  logger: Logger,
  { scope, lease, underLease, lost }: Held,
): Promise<Hostd> {
  const clock = systemClock;
  const tickets = await TicketVerifier.fromPem(
    await readFile(env.ATOLL_TICKET_PUBLIC_KEY_FILE, "utf8"),
    clock,
  );
  const admission: Admission = new Admission({
    memoryMb: env.ATOLL_MEMORY_MB || Math.floor((totalmem() / MEBIBYTE) * MACHINE_SHARE_OF_MEMORY),
    overcommit: env.ATOLL_MEMORY_OVERCOMMIT,
    diskReserveBytes: env.ATOLL_DISK_RESERVE_MB * MEBIBYTE,
    freeDiskBytes: freeDiskBytesOf(env.ATOLL_DATA),
    waitingMb: () => machines.source.readyMemoryMb,
  });
  const machines = await openMachineHost(env, logger, {
    ...{ scope, lease },
    mayWait: (memoryMb) => admission.mayWait(memoryMb),
    isStarting: () => workspaces.isStarting,
  });
  const { hypervisor, images, source, vmm } = machines;
  const feed = new StatusFeed();
  const revocations = await Revocations.open({
    path: join(env.ATOLL_DATA, "sessions", "revoked.json"),
    clock,
    writeDurably: replaceFile,
    onUnreadable: (error) => logger.error({ err: error }, "unreadable list of ended sign-ins"),
  });
  const sessions = new SessionRegistry({
    clock,
    revocations,
    onCountChange: (workspaceId, count) => workspaces.find(workspaceId)?.setSessionCount(count),
  });
  const journal = new WorkspaceJournal({
    directory: join(env.ATOLL_DATA, "journal"),
    writeDurably: replaceFile,
    onUnreadable: (path, error) => logger.error({ path, err: error }, "unreadable record"),
  });
  const resolve = hostResolver();
  const egressFor = (record: () => Readonly<WorkspaceRecord>, onBytes: (count: number) => void) =>
    new WorkspaceEgress({
      workspaceId: record().workspaceId,
      preset: () => record().egress,
      packageHosts: () => images.packageHosts(record().image),
      resolve,
      onBytes,
      clock,
      logger,
    });
  const views = new ViewRegistry({
    source,
    createOutbound: (workspace) =>
      egressFor(
        () => workspace.record,
        () => {},
      ),
    admission,
    clock,
    logger,
  });
  const workspaces: WorkspaceRegistry = new WorkspaceRegistry({
    journal,
    source,
    hypervisor,
    admission,
    underLease,
    timings: new StageTimings(),
    pauseGraceMs: env.ATOLL_PAUSE_GRACE_SECONDS * 1000,
    clock,
    logger,
    createOutbound: (core) =>
      egressFor(
        () => core.record,
        (count) => core.idle.addNetworkBytes(count),
      ),
    endCurrentViews: (workspaceId) => views.endCurrent(workspaceId),
    onStatus: (status) => feed.publish(status),
    onNotice: (workspaceId, code) => sessions.notify(workspaceId, code),
    endSessions: (workspaceId, error) => {
      sessions.endWorkspace(workspaceId, error);
      return views.endWorkspace(workspaceId, error);
    },
    checkImage: (name) => void images.require(name),
  });
  scope.defer(() => workspaces.close());
  scope.own(views);
  await workspaces.recover(await journal.open());

  const links = scope.own(
    new LinkSocketServer({ workspaces, sessions, views, tickets, feed, clock, logger }),
  );
  await links.listen(env.ATOLL_LINK_SOCKET);
  const { isolation } = hypervisor;
  const health = () => ({
    isolation,
    vmm,
    template: source.templateState,
    poolReadyCount: source.readyCount,
    forksReadyCount: source.readyForkCount,
  });
  const api = scope.own(
    new ApiServer(
      {
        workspaces,
        sessions,
        feed,
        health,
        allowsSize: (size) => env.ATOLL_ANY_MACHINE_SIZE || isPlanSize(size),
        clock,
        restorePaths: (workspace, wish) => restorePaths(views, workspace, { ...wish, clock }),
        presetChanged: (workspaceId) => views.presetChanged(workspaceId),
        checkpointDeleted: (workspaceId, checkpointId) => views.endCheckpoint(workspaceId, checkpointId),
      },
      logger,
    ),
  );
  await api.listen(env.ATOLL_HOSTD_SOCKET);
  logger.info({ isolation, vmm, workspaceCount: workspaces.list().length }, "hostd is ready");
  const leaseLost = lost.then(async (error) => {
    const successor = await lease.successor();
    workspaces.close();
    // On this host the successor adopts our machines; from another it cannot, and ours may write no more.
    if (successor !== undefined && successor.place !== thisPlace()) await workspaces.endMachines(error);
    return error;
  });
  return {
    leaseLost,
    async drain() {
      // The sockets stay open meanwhile: sessions see the pause, health shows the progress.
      logger.info("draining");
      const result = await workspaces.drain();
      sessions.endAll(new AtollError("host.draining"));
      await scope.close();
      logger.info(result, "hostd is done");
      return result;
    },
  };
}
