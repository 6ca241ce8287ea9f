import type { Clock } from "@atoll/base/clock";
import { Dispatcher } from "@atoll/protocol/dispatcher";
import { corePing, coreQuiesce, coreShutdown, coreStatus, coreThaw } from "@atoll/protocol/messages/core";
import {
  filesCreate,
  filesDelete,
  filesList,
  filesRead,
  filesRename,
  filesStat,
  filesWatch,
  filesWrite,
} from "@atoll/protocol/messages/files";
import { portsConnect, portsWatch } from "@atoll/protocol/messages/ports";
import { processRun } from "@atoll/protocol/messages/process";
import {
  terminalAttach,
  terminalClose,
  terminalOpen,
  terminalWatch,
} from "@atoll/protocol/messages/terminal";
import { quiesce } from "./core/quiesce.ts";
import { shutDown } from "./core/shutdown.ts";
import { readStatus } from "./core/status.ts";
import { createEntry } from "./files/create-entry.ts";
import { deleteEntry } from "./files/delete-entry.ts";
import { withFileFaults } from "./files/file-fault.ts";
import { InotifyGauge } from "./files/inotify-gauge.ts";
import { listFolder } from "./files/list-folder.ts";
import { readFile } from "./files/read-file.ts";
import { renameEntry } from "./files/rename-entry.ts";
import { statPath } from "./files/stat-path.ts";
import { FolderWatcher } from "./files/watch-folders.ts";
import { writeFile } from "./files/write-file.ts";
import type { Log } from "./log.ts";
import { connectPort } from "./ports/connect-port.ts";
import { PortWatch } from "./ports/port-watch.ts";
import { ProcessRunner } from "./processes/run-process.ts";
import type { GuestSystem } from "./system/guest-system.ts";
import type { UserAccount } from "./system/user-account.ts";
import { TerminalRegistry } from "./terminal/terminal-registry.ts";

export interface ServeGuestOptions {
  system: GuestSystem;
  clock: Clock;
  log: Log;
  readAccount: () => Promise<UserAccount>;
  defaultFolder: string;
  reservedPorts: ReadonlySet<number>;
  /** `fs.inotify.max_queued_events`. */
  inotifyQueueLength: number;
}

/** Every message the guest answers, and what stands behind it. Callers were told apart by the host already. */
export function serveGuest(options: ServeGuestOptions): Dispatcher {
  const { clock, log, reservedPorts } = options;
  const dispatcher = new Dispatcher((error, name) =>
    log(`${name}: ${error.message}: ${String(error.cause)}`),
  );
  serveCore(dispatcher, options);

  const terminals = new TerminalRegistry(options);
  dispatcher.onRequest(terminalOpen, (params) => terminals.open(params));
  dispatcher.onRequest(terminalClose, ({ terminalId }) => {
    terminals.close(terminalId);
    return {};
  });
  dispatcher.onChannel(terminalAttach, (params, stream) => terminals.attach(params, stream));
  dispatcher.onChannel(terminalWatch, (_params, stream) => terminals.watch(stream));

  dispatcher.onRequest(filesList, ({ path }) => withFileFaults(() => listFolder(path)));
  dispatcher.onRequest(filesStat, ({ path }) => withFileFaults(() => statPath(path)));
  dispatcher.onChannel(filesRead, (params, stream) => withFileFaults(() => readFile(params, stream)));
  dispatcher.onChannel(filesWrite, (params, stream) => withFileFaults(() => writeFile(params, stream)));
  dispatcher.onRequest(filesCreate, (params) => withFileFaults(() => createEntry(params)));
  dispatcher.onRequest(filesRename, (params) => withFileFaults(() => renameEntry(params)));
  dispatcher.onRequest(filesDelete, ({ path, recursive }) =>
    withFileFaults(async () => {
      await deleteEntry(path, { recursive });
      return {};
    }),
  );
  const gauge = new InotifyGauge(options.inotifyQueueLength);
  dispatcher.onChannel(filesWatch, (params, stream) =>
    new FolderWatcher({ clock, gauge, stream }).serve(params),
  );

  const processes = new ProcessRunner(options);
  dispatcher.onChannel(processRun, (params, stream) => processes.run(params, stream));

  const ports = new PortWatch({ clock, log, reservedPorts });
  dispatcher.onChannel(portsWatch, (_params, stream) => ports.watch(stream));
  dispatcher.onChannel(portsConnect, ({ port }, stream) =>
    connectPort({ port, reservedPorts, stream, clock }),
  );
  return dispatcher;
}

function serveCore(dispatcher: Dispatcher, { system, clock, log }: ServeGuestOptions): void {
  const startedAtMs = clock.monotonic();
  dispatcher.onRequest(corePing, () => ({ uptimeMs: clock.monotonic() - startedAtMs }));
  dispatcher.onRequest(coreStatus, () => readStatus(system.diskPath));
  dispatcher.onRequest(coreQuiesce, () => quiesce(system));
  dispatcher.onRequest(coreThaw, () => {
    system.thawDisk();
    return {};
  });
  dispatcher.onRequest(coreShutdown, () => {
    shutDown({ system, clock }).catch((cause: unknown) => log(`shutdown failed: ${String(cause)}`));
    return {};
  });
}
