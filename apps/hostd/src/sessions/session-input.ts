import { type Frame, FrameKind } from "@atoll/protocol/frame";
import { filesCreate, filesDelete, filesRename, filesWrite } from "@atoll/protocol/messages/files";
import { processRun } from "@atoll/protocol/messages/process";
import { terminalAttach, terminalClose, terminalOpen } from "@atoll/protocol/messages/terminal";
import { filesPack } from "@atoll/protocol/messages/views";

/**
 * What only a person's hand does, by message, and what to call it. Listings, watches, reads and attaching are left out:
 * an open tab does them by itself, some of them whenever a program in the guest wants it to.
 */
const INPUT: ReadonlyMap<string, { detail: string; isOpening: boolean; isData: boolean }> = new Map([
  [terminalAttach.name, { detail: "terminal", isOpening: false, isData: true }],
  [terminalOpen.name, { detail: "terminal", isOpening: true, isData: false }],
  [terminalClose.name, { detail: "terminal", isOpening: true, isData: false }],
  [filesWrite.name, { detail: "files", isOpening: true, isData: true }],
  [filesCreate.name, { detail: "files", isOpening: true, isData: false }],
  [filesRename.name, { detail: "files", isOpening: true, isData: false }],
  [filesDelete.name, { detail: "files", isOpening: true, isData: false }],
  [filesPack.name, { detail: "files", isOpening: true, isData: false }],
  [processRun.name, { detail: "program", isOpening: true, isData: true }],
]);

/** What a terminal answers by itself when a program asks: its kind, its cursor, its modes, its colours. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: that is what terminals speak
const REPORTS = /\x1b\[[?>=]?[\d;]*\$?[cRnyt]|\x1b[\]P_][^\x07\x1b]*(?:\x07|\x1b\\)/g;
const ESCAPE = 0x1b;
/** A longer one is a paste. */
const REPORT_MAX_BYTES = 1024;

/** The name of the input that opening a stream is; undefined when it is none. */
export function inputByOpening(name: string): string | undefined {
  const input = INPUT.get(name);
  return input?.isOpening === true ? input.detail : undefined;
}

/** The same for a frame that the browser sends on such a stream. */
export function inputByFrame(name: string, frame: Frame): string | undefined {
  const input = INPUT.get(name);
  if (input?.isData !== true || frame.kind !== FrameKind.data) return undefined;
  return name === terminalAttach.name && isReport(frame.payload) ? undefined : input.detail;
}

function isReport(bytes: Uint8Array): boolean {
  if (bytes.length === 0) return true;
  if (bytes[0] !== ESCAPE || bytes.length > REPORT_MAX_BYTES) return false;
  return Buffer.from(bytes).toString("latin1").replace(REPORTS, "") === "";
}
