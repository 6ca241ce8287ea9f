import type { Clock } from "@atoll/base/clock";
import { Dispatcher } from "@atoll/protocol/dispatcher";
import {
  coreActivity,
  corePing,
  coreQuiesce,
  coreScrub,
  coreShutdown,
  coreStatus,
  coreThaw,
} from "@atoll/protocol/messages/core";
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
import { filesPack, filesUnpack, filesUsage, VIEW_ROOT, viewMount } from "@atoll/protocol/messages/views";
import { readActivity } from "./core/activity.ts";
import type { GuestLeases } from "./core/guest-leases.ts";
import { quiesce } from "./core/quiesce.ts";
import { shutDown } from "./core/shutdown.ts";
import { readStatus } from "./core/status.ts";
import { createEntry } from "./files/create-entry.ts";
import { deleteEntry } from "./files/delete-entry.ts";
import { withFileFaults } from "./files/file-fault.ts";
import { InotifyGauge } from "./files/inotify-gauge.ts";
import { listFolder } from "./files/list-folder.ts";
import { measureUsage } from "./files/measure-usage.ts";
import { packFiles } from "./files/pack-files.ts";
import { readFile } from "./files/read-file.ts";
import { renameEntry } from "./files/rename-entry.ts";
import { statPath } from "./files/stat-path.ts";
import { unpackFiles } from "./files/unpack-files.ts";
import { FolderWatcher } from "./files/watch-folders.ts";
import { writeFile } from "./files/write-file.ts";
import type { Log } from "./log.ts";
import { connectPort } from "./ports/connect-port.ts";
import { PortWatch } from "./ports/port-watch.ts";
import { ProcessRunner } from "./processes/run-process.ts";
import { forgetFreeSpace } from "./scrub/clear-free-blocks.ts";
import { scrubTree } from "./scrub/scrub-tree.ts";
import type { FindTool } from "./system/base-tool.ts";
import type { GuestSystem } from "./system/guest-system.ts";
import type { UserAccount } from "./system/user-account.ts";
import { TerminalRegistry } from "./terminal/terminal-registry.ts";
import type { GuestView } from "./view/mount-view.ts";
import { refuseView } from "./view/refuse-view.ts";

export interface ServeGuestOptions {
  system: GuestSystem;
  clock: Clock;
  log: Log;
  readAccount: () => Promise<UserAccount>;
  defaultFolder: string;
  reservedPorts: ReadonlySet<number>;
  /** `fs.inotify.max_queued_events`. */
  inotifyQueueLength: number;
  leases: GuestLeases;
  tool: FindTool;
  view: GuestView;
  /** The folder in which users' changes to the image lie, and the root they show at. */
  scrub: { layer: string; live: string };
}

/** Where people start in a view: what they came for. */
const VIEW_FOLDER = `${VIEW_ROOT}/workspace`;

/** Every message the guest answers, and what stands behind it. Callers were told apart by the host already. */
export function serveGuest(options: ServeGuestOptions): Dispatcher {
  const { log, reservedPorts } = options;
  const dispatcher = new Dispatcher((error, name) =>
    log(`${name}: ${error.message}: ${String(error.cause)}`),
  );
  const places = {
    ...options,
    get defaultFolder() {
      return options.view.isMounted ? VIEW_FOLDER : options.defaultFolder;
    },
  };
  const terminals = new TerminalRegistry(places);
  dispatcher.onRequest(terminalOpen, (params) => terminals.open(params));
  dispatcher.onRequest(terminalClose, ({ terminalId }) => {
    terminals.close(terminalId);
    return {};
  });
  dispatcher.onChannel(terminalAttach, (params, stream) => terminals.attach(params, stream));
  dispatcher.onChannel(terminalWatch, (_params, stream) => terminals.watch(stream));

  serveCore(dispatcher, options, terminals);
  serveFiles(dispatcher, options);
  const processes = new ProcessRunner(places);
  dispatcher.onChannel(processRun, (params, stream) => processes.run(params, stream));

  const ports = new PortWatch({ clock: options.clock, log, reservedPorts });
  dispatcher.onChannel(portsWatch, (_params, stream) => ports.watch(stream));
  dispatcher.onChannel(portsConnect, ({ port }, stream) =>
    connectPort({ port, reservedPorts, stream, clock: options.clock }),
  );
  return dispatcher;
}

function serveFiles(dispatcher: Dispatcher, options: ServeGuestOptions): void {
  const { clock, tool, view } = options;
  /** A change, unless it is to what a view shows. */
  const change = <T>(paths: readonly string[], run: () => Promise<T>) =>
    withFileFaults(async () => {
      if (view.isMounted) refuseView(...paths);
      return await run();
    });
  dispatcher.onRequest(filesList, ({ path }) => withFileFaults(() => listFolder(path)));
  dispatcher.onRequest(filesStat, ({ path }) => withFileFaults(() => statPath(path)));
  dispatcher.onChannel(filesRead, (params, stream) => withFileFaults(() => readFile(params, stream)));
  dispatcher.onChannel(filesWrite, (params, stream) =>
    change([params.path], () => writeFile(params, stream)),
  );
  dispatcher.onRequest(filesCreate, (params) => change([params.path], () => createEntry(params)));
  dispatcher.onRequest(filesRename, (params) => change([params.from, params.to], () => renameEntry(params)));
  dispatcher.onRequest(filesDelete, ({ path, recursive }) =>
    change([path], async () => {
      await deleteEntry(path, { recursive });
      return {};
    }),
  );
  const gauge = new InotifyGauge(options.inotifyQueueLength);
  dispatcher.onChannel(filesWatch, (params, stream) =>
    new FolderWatcher({ clock, gauge, stream }).serve(params),
  );
  dispatcher.onChannel(filesPack, (params, stream) => withFileFaults(() => packFiles(params, stream, tool)));
  dispatcher.onChannel(filesUnpack, (params, stream) =>
    change([params.root], () => unpackFiles(params, stream, tool)),
  );
  dispatcher.onRequest(filesUsage, (params) => withFileFaults(() => measureUsage(params, { clock, tool })));
  dispatcher.onRequest(viewMount, () => view.mount());
}

function serveCore(
  dispatcher: Dispatcher,
  { system, clock, log, leases, tool, scrub }: ServeGuestOptions,
  terminals: TerminalRegistry,
): void {
  const startedAtMs = clock.monotonic();
  dispatcher.onRequest(corePing, () => ({ uptimeMs: clock.monotonic() - startedAtMs }));
  dispatcher.onRequest(coreStatus, () => readStatus(system.diskPath));
  dispatcher.onRequest(coreActivity, ({ keepAwakeMaxSeconds }) =>
    readActivity({ terminals: terminals.list, leases, keepAwakeMaxSeconds }),
  );
  dispatcher.onRequest(coreScrub, () =>
    withFileFaults(async () => {
      const found = await scrubTree(scrub);
      await forgetFreeSpace({ system, clock, log, tool });
      return found;
    }),
  );
  dispatcher.onRequest(coreQuiesce, () => quiesce(system));
  dispatcher.onRequest(coreThaw, () => {
    system.thaw();
    return {};
  });
  dispatcher.onRequest(coreShutdown, () => {
    shutDown({ system, clock }).catch((cause: unknown) => log(`shutdown failed: ${String(cause)}`));
    return {};
  });
}
