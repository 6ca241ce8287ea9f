/** Makes everything one page of stored files needs, and ends it again. No React in here. */
import { systemClock } from "@atoll/base/clock";
import { VIEW_ROOT } from "@atoll/protocol/messages/views";
import { Connection } from "../connection/connection.ts";
import { socketTransport } from "../connection/socket-transport.ts";
import { DownloadList } from "../downloads/download-list.ts";
import { windowSink } from "../downloads/download-sink.ts";
import { FileClient } from "../files/file-client.ts";
import { FileTreeModel } from "../files/file-tree-model.ts";
import { GitPush } from "./git-push.ts";
import { LinkRefresh } from "./link-refresh.ts";
import { PreviewModel } from "./preview-model.ts";
import { VIEW_WORKSPACE } from "./view-path.ts";

export interface RescueModels {
  connection: Connection;
  files: FileClient;
  /** The user's own folder, and everything. */
  trees: { workspace: FileTreeModel; disk: FileTreeModel };
  preview: PreviewModel;
  downloads: DownloadList;
  push: GitPush;
  close: () => void;
}

export interface RescueModelsOptions {
  gatewayUrl: string;
  /** Of a view ticket. */
  fetchTicket: () => Promise<string>;
}

export function createRescueModels({ gatewayUrl, fetchTicket }: RescueModelsOptions): RescueModels {
  const clock = systemClock;
  const connection = new Connection({
    openTransport: socketTransport(gatewayUrl),
    fetchTicket,
    // Counts to no limit, so it need not be known again; the tab's own id belongs to its workbench.
    tabId: crypto.randomUUID(),
    purpose: "view",
    clock,
  });
  const files = new FileClient(connection);
  const watch = new LinkRefresh(connection);
  const trees = {
    workspace: new FileTreeModel({ root: VIEW_WORKSPACE, files, watch, clock }),
    disk: new FileTreeModel({ root: VIEW_ROOT, files, watch, clock }),
  };
  const downloads = new DownloadList({ connection, openSink: windowSink() });
  return {
    connection,
    files,
    trees,
    preview: new PreviewModel(files),
    downloads,
    push: new GitPush(connection),
    close() {
      downloads.close();
      trees.workspace.close();
      trees.disk.close();
      watch.close();
      connection.close();
    },
  };
}
