import { spawn } from "node:child_process";
import { once } from "node:events";
import { statfs } from "node:fs/promises";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { ParsedParamsOf } from "@atoll/protocol/message";
import type { filesUnpack } from "@atoll/protocol/messages/views";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import { type FindTool, TOOL_ENV } from "../system/base-tool.ts";
import { exposeToOutOfMemory } from "../system/oom-score.ts";
import { whenDrained } from "../system/when-drained.ts";
import { findFolder, type GuestFolder } from "./guest-folder.ts";

/** With less free than this, a failed unpacking is taken for a full disk. */
const FULL_BYTES = 1024 * 1024;

/**
 * Unpacks a tar archive over what is there, with its owners. tar itself keeps names from leaving the folder: it strips
 * what is absolute, refuses `..`, and makes links that lead outside last.
 */
export async function unpackFiles(
  params: ParsedParamsOf<typeof filesUnpack>,
  stream: MuxStream,
  tool: FindTool,
): Promise<void> {
  await using root = await findFolder(params.root);
  const [file = "", ...args] = tool("bin/tar");
  const child = spawn(
    file,
    [
      ...args,
      ...["--extract", "--file=-", "--same-owner", "--same-permissions", "--numeric-owner"],
      ...["--delay-directory-restore", "--no-overwrite-dir"],
    ],
    { cwd: `/proc/${process.pid}/fd/${root.handle.fd}`, env: TOOL_ENV, stdio: ["pipe", "ignore", "ignore"] },
  );
  if (child.pid !== undefined) exposeToOutOfMemory(child.pid);
  const closed = once(child, "close") as Promise<[number | null]>;
  closed.catch(() => {});
  let isWhole = false;
  void stream.closed.then(() => {
    if (!isWhole) child.kill("SIGKILL");
  });
  const { stdin } = child;
  // A tar that failed reads no more: its exit code says so.
  stdin.on("error", () => stdin.destroy());
  stream.sendReply({});
  for await (const item of stream) {
    if (item.kind !== "data") throw new AtollError("request.invalid", "no events are expected");
    if (!stdin.destroyed && !stdin.write(item.bytes)) await whenDrained(stdin);
  }
  isWhole = true;
  stdin.end();
  const [exitCode] = await closed;
  if (exitCode !== 0) throw await failure(exitCode, root);
  await stream.sendEvent({ type: "unpacked" });
}

async function failure(exitCode: number | null, root: GuestFolder): Promise<AtollError> {
  const { bavail, bsize } = await statfs(root.path);
  if (bavail * bsize < FULL_BYTES) return new AtollError("file.no_space");
  return new AtollError("request.invalid", `tar ended with ${exitCode}`);
}
