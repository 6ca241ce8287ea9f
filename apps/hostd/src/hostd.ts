/** Puts the parts of hostd together. Listens only once every workspace of the journal has recovered. */
import { lookup } from "node:dns/promises";
import { readFile } from "node:fs/promises";
import { totalmem } from "node:os";
import { join } from "node:path";
import { systemClock } from "@atoll/base/clock";
import { Scope } from "@atoll/base/scope";
import { replaceFile } from "@atoll/durable/replace-file";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { Logger } from "pino";
import { ApiServer } from "./api/api-server.ts";
import { lockDataDirectory } from "./data-directory-lock.ts";
import { WorkspaceEgress } from "./egress/workspace-egress.ts";
import type { HostdEnv } from "./env.ts";
import { openMachineHost } from "./machine-host.ts";
import { LinkSocketServer } from "./sessions/link-socket-server.ts";
import { SessionRegistry } from "./sessions/session-registry.ts";
import { TicketVerifier } from "./sessions/ticket-verifier.ts";
import { Admission, freeDiskBytesOf } from "./workspaces/admission.ts";
import { WorkspaceJournal } from "./workspaces/journal/workspace-journal.ts";
import { StageTimings } from "./workspaces/stage-timings.ts";
import { StatusFeed } from "./workspaces/status-feed.ts";
import { WorkspaceRegistry } from "./workspaces/workspace-registry.ts";

const MEBIBYTE = 1024 * 1024;
/** The rest is for this host's own processes and the page cache. */
const MACHINE_SHARE_OF_MEMORY = 0.75;

export interface Hostd {
  /** Pauses what runs and closes everything. */
  drain(): Promise<void>;
}

export async function startHostd(env: HostdEnv, logger: Logger): Promise<Hostd> {
  const scope = new Scope();
  try {
    const clock = systemClock;
    scope.own(await lockDataDirectory(env.ATOLL_DATA));
    const tickets = await TicketVerifier.fromPem(
      await readFile(env.ATOLL_TICKET_PUBLIC_KEY_FILE, "utf8"),
      clock,
    );
    const { hypervisor, images, source, vmm } = await openMachineHost(env, logger, scope);
    const feed = new StatusFeed();
    const sessions = new SessionRegistry({
      clock,
      onCountChange: (workspaceId, count) => workspaces.find(workspaceId)?.setSessionCount(count),
    });
    const journal = new WorkspaceJournal({
      directory: join(env.ATOLL_DATA, "journal"),
      writeDurably: replaceFile,
      onUnreadable: (path, error) => logger.error({ path, err: error }, "unreadable record"),
    });
    const workspaces: WorkspaceRegistry = new WorkspaceRegistry({
      journal,
      source,
      hypervisor,
      admission: new Admission({
        memoryMb: env.ATOLL_MEMORY_MB || Math.floor((totalmem() / MEBIBYTE) * MACHINE_SHARE_OF_MEMORY),
        overcommit: env.ATOLL_MEMORY_OVERCOMMIT,
        diskReserveBytes: env.ATOLL_DISK_RESERVE_MB * MEBIBYTE,
        freeDiskBytes: freeDiskBytesOf(env.ATOLL_DATA),
      }),
      timings: new StageTimings(),
      pauseGraceMs: env.ATOLL_PAUSE_GRACE_SECONDS * 1000,
      clock,
      logger,
      createOutbound: (core) =>
        new WorkspaceEgress({
          workspaceId: core.record.workspaceId,
          preset: () => core.record.egress,
          packageHosts: () => images.packageHosts(core.record.image),
          resolve: (host) => lookup(host, { all: true, order: "ipv4first" }),
          clock,
          logger,
        }),
      endCurrentViews: async () => {},
      onStatus: (status) => feed.publish(status),
      onNotice: (workspaceId, code) => sessions.notify(workspaceId, code),
      endSessions: (workspaceId, error) => sessions.endWorkspace(workspaceId, error),
      checkImage: (name) => void images.require(name),
    });
    await workspaces.recover(await journal.open());

    const links = scope.own(new LinkSocketServer({ workspaces, sessions, tickets, feed, clock, logger }));
    await links.listen(env.ATOLL_LINK_SOCKET);
    const { isolation } = hypervisor;
    const health = () => ({
      isolation,
      vmm,
      template: source.templateState,
      poolReadyCount: source.readyCount,
    });
    const api = scope.own(new ApiServer({ workspaces, sessions, feed, health, clock }, logger));
    await api.listen(env.ATOLL_HOSTD_SOCKET);
    logger.info({ isolation, vmm, workspaceCount: workspaces.list().length }, "hostd is ready");
    return {
      async drain() {
        // The sockets stay open meanwhile: sessions see the pause, health shows the progress.
        logger.info("draining");
        const result = await workspaces.drain();
        sessions.endAll(new AtollError("host.draining"));
        await scope.close();
        logger.info(result, "hostd is done");
      },
    };
  } catch (error) {
    await scope.close();
    throw error;
  }
}
