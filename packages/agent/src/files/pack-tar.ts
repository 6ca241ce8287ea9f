import { spawn } from "node:child_process";
import { once } from "node:events";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import { type FindTool, TOOL_ENV } from "../system/base-tool.ts";
import { exposeToOutOfMemory } from "../system/oom-score.ts";
import type { GuestFolder } from "./guest-folder.ts";

/** tar found everything, found something changed, or could not read something. */
const EXIT_CODES_OF_AN_ARCHIVE = [0, 1, 2];

/**
 * With the owners, modes, links and holes that `files.unpack` brings back. Answers how many entries could not be read.
 * It stays in the file system of each path it is given.
 */
export async function packTar(options: {
  root: GuestFolder;
  paths: readonly string[];
  stream: MuxStream;
  tool: FindTool;
}): Promise<number> {
  const { root, paths, stream, tool } = options;
  const [file = "", ...args] = tool("bin/tar");
  const child = spawn(
    file,
    [
      ...args,
      ...["--create", "--file=-", "--format=posix", "--pax-option=delete=atime,delete=ctime"],
      ...["--one-file-system", "--sparse", "--numeric-owner", "--ignore-failed-read"],
      ...["--warning=no-file-ignored", "--null", "--verbatim-files-from", "--files-from=-"],
    ],
    // The open folder itself, whatever is put in its place meanwhile.
    { cwd: `/proc/${process.pid}/fd/${root.handle.fd}`, env: TOOL_ENV, stdio: "pipe" },
  );
  if (child.pid !== undefined) exposeToOutOfMemory(child.pid);
  const closed = once(child, "close") as Promise<[number | null]>;
  closed.catch(() => {});
  void stream.closed.then(() => child.kill("SIGKILL"));
  // A tar that ended early does not want the rest of its list.
  child.stdin.on("error", () => {});
  child.stdin.end(paths.map((path) => `${path}\0`).join(""));
  const complaints = countLines(child.stderr);
  for await (const chunk of child.stdout) await stream.write(chunk as Buffer);
  const [exitCode] = await closed;
  if (exitCode === null || !EXIT_CODES_OF_AN_ARCHIVE.includes(exitCode)) {
    throw new AtollError("internal", `tar ended with ${exitCode}`);
  }
  const lines = await complaints;
  // Its last line then only says that there were others.
  return exitCode === 2 ? Math.max(1, lines - 1) : lines;
}

async function countLines(output: AsyncIterable<Buffer>): Promise<number> {
  let count = 0;
  for await (const chunk of output) for (const byte of chunk) if (byte === 0x0a) count += 1;
  return count;
}
