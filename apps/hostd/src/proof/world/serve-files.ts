import { coreScrub } from "@atoll/protocol/messages/core";
import { filesPack, filesUnpack, viewMount } from "@atoll/protocol/messages/views";
import type { SimMachine } from "./sim-machine.ts";

/** What the scrubbing of a template leaves behind on the disk, so that who begins there can be told from others. */
export const SCRUBBED = "content-scrubbed";

/** The agent's part in views, restored files and templates: a file is a word, its path is the word. */
export function serveFiles(machine: SimMachine): void {
  const { dispatcher } = machine.guest;
  dispatcher.onRequest(viewMount, () => ({ isRepaired: false }));
  dispatcher.onRequest(coreScrub, () => {
    machine.write(SCRUBBED);
    return { files: [], count: 0 };
  });
  dispatcher.onChannel(filesPack, async ({ paths }, stream) => {
    stream.sendReply({});
    const words = machine.viewWords().filter((word) => paths.includes(word));
    if (words.length > 0) await stream.write(Buffer.from(words.join("\n")));
    await stream.sendEvent({ type: "packed", skippedCount: paths.length - words.length });
  });
  dispatcher.onChannel(filesUnpack, async (_params, stream) => {
    stream.sendReply({});
    let text = "";
    for await (const item of stream) if (item.kind === "data") text += Buffer.from(item.bytes).toString();
    for (const word of text.split("\n")) if (word !== "") machine.write(word);
    await stream.sendEvent({ type: "unpacked" });
  });
}
