/** Makes everything one workbench page needs, and ends it all again. No React in here. */
import { systemClock } from "@atoll/base/clock";
import { Connection } from "../connection/connection.ts";
import { LatencyProbe } from "../connection/latency-probe.ts";
import { socketTransport } from "../connection/socket-transport.ts";
import { DownloadList } from "../downloads/download-list.ts";
import { windowSink } from "../downloads/download-sink.ts";
import { browserDraftStore, type DraftStore } from "../editor/draft-store.ts";
import { EditorModel } from "../editor/editor-model.ts";
import { FileClient } from "../files/file-client.ts";
import { FileTreeModel } from "../files/file-tree-model.ts";
import { FolderWatch } from "../files/folder-watch.ts";
import { WORKSPACE_ROOT } from "../files/guest-path.ts";
import { ActivitySignal } from "../lifecycle/activity-signal.ts";
import { TypingSignal } from "../lifecycle/typing-signal.ts";
import { PortsModel } from "../preview/ports-model.ts";
import { TerminalList } from "../terminal/terminal-list.ts";

export interface WorkbenchModels {
  connection: Connection;
  latency: LatencyProbe;
  files: FileClient;
  tree: FileTreeModel;
  editor: EditorModel;
  drafts: DraftStore;
  terminals: TerminalList;
  ports: PortsModel;
  downloads: DownloadList;
  close: () => void;
}

export interface WorkbenchModelsOptions {
  workspaceId: string;
  gatewayUrl: string;
  tabId: string;
  fetchTicket: () => Promise<string>;
  idlePauseSeconds: number;
}

/** As in other editors: git's own files are for git. The terminal and stored views show them. */
const HIDDEN_NAMES = [".git"];

export function createWorkbenchModels(options: WorkbenchModelsOptions): WorkbenchModels {
  const { workspaceId, gatewayUrl, tabId, fetchTicket, idlePauseSeconds } = options;
  const clock = systemClock;
  const connection = new Connection({
    openTransport: socketTransport(gatewayUrl),
    fetchTicket,
    tabId,
    purpose: wasDiscarded() ? "restored-tab" : "workspace",
    clock,
  });
  const activity = new ActivitySignal({
    target: window,
    clock,
    idlePauseSeconds,
    onActive: () => connection.tellActive(),
  });
  const typing = new TypingSignal({ target: window, onTyped: () => connection.typedWithoutLink() });
  const latency = new LatencyProbe({ connection, clock, isVisible: () => !document.hidden });
  const files = new FileClient(connection);
  const watch = new FolderWatch(connection);
  const tree = new FileTreeModel({ root: WORKSPACE_ROOT, hidden: HIDDEN_NAMES, files, watch, clock });
  const drafts = browserDraftStore(workspaceId);
  const createBuffer = async (path: string, text: string) => {
    const { monacoBuffer } = await import("../editor/monaco-setup.ts");
    return monacoBuffer(path, text);
  };
  const editor = new EditorModel({ connection, files, watch, drafts, createBuffer, clock });
  const terminals = new TerminalList({ connection, cwd: WORKSPACE_ROOT });
  const ports = new PortsModel(connection);
  const downloads = new DownloadList({ connection, openSink: windowSink() });
  const onOnline = () => connection.reconnectNow();
  addEventListener("online", onOnline);
  return {
    connection,
    latency,
    files,
    tree,
    editor,
    drafts,
    terminals,
    ports,
    downloads,
    close() {
      removeEventListener("online", onOnline);
      activity.close();
      typing.close();
      downloads.close();
      ports.close();
      terminals.close();
      editor.dispose();
      tree.close();
      watch.close();
      latency.close();
      connection.close();
    },
  };
}

/** The browser had dropped the tab to save memory and loads it again by itself. Not in all browsers. */
function wasDiscarded(): boolean {
  return "wasDiscarded" in document && document.wasDiscarded === true;
}
