import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemClock } from "@atoll/base/clock";
import type { Mux } from "@atoll/protocol/mux";
import { muxPair } from "@atoll/protocol/mux-pair";
import { GuestLeases } from "../core/guest-leases.ts";
import { serveGuest } from "../serve-guest.ts";
import { baseTools } from "../system/base-tool.ts";
import { MemoryGuestSystem } from "../system/memory-guest-system.ts";
import type { UserAccount } from "../system/user-account.ts";
import { GuestView } from "../view/mount-view.ts";

export interface TestGuest extends AsyncDisposable {
  client: Mux;
  /** A folder of its own, which is also the account's home and where programs start. */
  folder: string;
  system: MemoryGuestSystem;
  cut: ReturnType<typeof muxPair>["cut"];
  /** Another link to the same guest. */
  connect: () => ReturnType<typeof muxPair>;
  lines: string[];
}

export const RESERVED_PORT = 61_234;

/** All of the agent but its link and proxy, as this machine's own user in a temporary folder. */
export async function testGuest(): Promise<TestGuest> {
  const folder = await mkdtemp(join(tmpdir(), "atoll-agent-"));
  const system = new MemoryGuestSystem(folder);
  const lines: string[] = [];
  const uid = process.getuid?.() ?? 0;
  const account: UserAccount = {
    uid,
    gid: process.getgid?.() ?? 0,
    name: "dev",
    home: folder,
    shell: "/bin/bash",
    env: { PATH: process.env.PATH ?? "/usr/bin:/bin", HOME: folder, LANG: "C.UTF-8", PS1: "$ " },
  };
  const tool = baseTools(join(folder, "no-base"));
  const dispatcher = serveGuest({
    system,
    clock: systemClock,
    log: (line) => void lines.push(line),
    readAccount: async () => account,
    defaultFolder: folder,
    reservedPorts: new Set([RESERVED_PORT]),
    inotifyQueueLength: 16_384,
    leases: new GuestLeases({ folder: join(folder, ".leases"), clock: systemClock }),
    tool,
    view: new GuestView({
      clock: systemClock,
      log: () => {},
      tool,
      base: join(folder, "no-base"),
      privateFolder: join(folder, "no-view"),
    }),
    scrub: { layer: folder, live: folder },
  });
  const connect = () => muxPair({ onServerOpen: (open) => dispatcher.dispatch(open, "host") });
  const { client, cut } = connect();
  return {
    client,
    cut,
    connect,
    folder,
    system,
    lines,
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}
