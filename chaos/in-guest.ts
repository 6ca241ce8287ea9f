import { openChannel } from "@atoll/protocol/call";
import { processRun } from "@atoll/protocol/messages/process";
import type { Mux } from "@atoll/protocol/mux";

/** A guest that has just booted on an emulated processor beside others under load takes some ten seconds. */
export const GUEST_TIMEOUT_MS = 90_000;

/** Standard output of a program that ended well. @throws AtollError of the connection, Error when it ended badly */
export async function runInGuest(mux: Mux, ...argv: string[]): Promise<string> {
  const timeoutMs = GUEST_TIMEOUT_MS;
  const channel = await openChannel(mux, processRun, { argv, timeoutMs }, { timeoutMs });
  const timer = setTimeout(() => channel.stream.reset(), timeoutMs);
  try {
    channel.stream.end();
    let output = "";
    let ending = "without an end";
    for await (const item of channel.items()) {
      if (item.kind === "data") output += Buffer.from(item.bytes).toString("utf8");
      else ending = JSON.stringify(item.value);
      if (item.kind === "event" && item.value.exitCode === 0) return output.trim();
    }
    throw new Error(`${argv.slice(0, 3).join(" ")}: ${ending}: ${output.slice(-500)}`);
  } finally {
    clearTimeout(timer);
  }
}
