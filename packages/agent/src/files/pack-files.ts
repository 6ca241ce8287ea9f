import { AtollError } from "@atoll/protocol/atoll-error";
import type { ParsedParamsOf } from "@atoll/protocol/message";
import type { filesPack } from "@atoll/protocol/messages/views";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import type { FindTool } from "../system/base-tool.ts";
import { lookAt } from "./file-entry.ts";
import { findFolder, findPlace, GuestFolder } from "./guest-folder.ts";
import { packTar } from "./pack-tar.ts";
import { packZip } from "./pack-zip.ts";
import { relativeNames } from "./relative-names.ts";

/** Everything that was asked for, as one stream; what cannot be read is left out and counted. */
export async function packFiles(
  params: ParsedParamsOf<typeof filesPack>,
  stream: MuxStream,
  tool: FindTool,
): Promise<void> {
  await using root = await findFolder(params.root);
  const paths = params.paths.map((path) => relativeNames(path).join("/") || ".");
  for (const path of paths) await checkPath(params.root, path);
  stream.sendReply({});
  const skippedCount = await (params.format === "tar"
    ? packTar({ root, paths, stream, tool })
    : packZip({ root, paths, stream }));
  await stream.sendEvent({ type: "packed", skippedCount });
}

/** @throws AtollError file.not_found, file.denied for what is the kernel's */
async function checkPath(root: string, path: string): Promise<void> {
  if (path === ".") return;
  await using place = await findPlace(`${root}/${path}`, { followLast: false });
  const facts = await lookAt(place);
  if (facts === undefined)
    throw new AtollError("file.not_found", undefined, { details: { path: path.slice(0, 500) } });
  if (!facts.isDirectory()) return;
  await using folder = await GuestFolder.at(place.path);
  await folder.refuseKernel();
}
