import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { systemClock } from "@atoll/base/clock";
import { loadGuestNative } from "../native/guest-native.ts";
import packageFacts from "../package.json" with { type: "json" };
import { GuestLeases } from "./core/guest-leases.ts";
import { EgressDialer } from "./egress/egress-dialer.ts";
import { readEnv } from "./env.ts";
import { AgentLink } from "./link/agent-link.ts";
import { PortPipe } from "./link/port-pipe.ts";
import { listenForPipes } from "./link/socket-pipe.ts";
import { takeIdentity } from "./link/take-identity.ts";
import { createLog } from "./log.ts";
import { serveGuest } from "./serve-guest.ts";
import { surviveFaults } from "./survive-faults.ts";
import { baseTools } from "./system/base-tool.ts";
import { NativeGuestSystem } from "./system/native-guest-system.ts";
import { protectFromOutOfMemory } from "./system/oom-score.ts";
import { ProcessFreezer } from "./system/process-freezer.ts";
import { readUserAccount } from "./system/user-account.ts";
import { GuestView } from "./view/mount-view.ts";

/** The guest agent: composition only. In a process of root's, which ends with it. */
export function startAgent(): void {
  // The optimizing compilers cost an emulated or small machine more than they save here. Measured under TCG: without
  // the last one half the CPU time per request and 9 MB less memory after load, without the middle one 7 MB less.
  setFlagsFromString("--no-opt");
  setFlagsFromString("--no-maglev");
  // What an interpreter's loop costs is multiplied by emulation; compiling each function plainly pays at the next keystroke.
  setFlagsFromString("--always-sparkplug");

  const clock = systemClock;
  const log = createLog((text) => void process.stderr.write(text));
  surviveFaults({ process, clock, log });

  const env = readEnv();
  const native = loadGuestNative(env.ATOLL_NATIVE);
  const freezer = new ProcessFreezer({ root: env.ATOLL_CGROUPS, pid: process.pid, log });
  freezer.prepare();
  const system = new NativeGuestSystem({
    native,
    freezer,
    clock,
    diskPath: env.ATOLL_DISK,
    namesPath: env.ATOLL_NAMES,
  });
  protectFromOutOfMemory();
  // Programs inherit groups: of root's none.
  process.setgroups?.([]);

  const leases = new GuestLeases({ folder: env.ATOLL_LEASES, clock });
  leases.prepare({ uid: env.ATOLL_USER_ID, gid: env.ATOLL_USER_ID });
  const tool = baseTools(env.ATOLL_BASE);
  const dispatcher = serveGuest({
    system,
    clock,
    log,
    readAccount: () => readUserAccount(env.ATOLL_USER_ID),
    defaultFolder: env.ATOLL_FOLDER,
    reservedPorts: new Set([env.ATOLL_PROXY_PORT]),
    inotifyQueueLength: Number(readFileSync("/proc/sys/fs/inotify/max_queued_events", "latin1")),
    leases,
    tool,
    view: new GuestView({ clock, log, tool, base: env.ATOLL_BASE, privateFolder: env.ATOLL_VIEW }),
    scrub: { layer: `${env.ATOLL_DISK}/upper`, live: "/" },
  });

  let isProxyWanted = true;
  const link = new AgentLink({
    clock,
    log,
    greet: (hello) => {
      // Behind the answer: it loads a third as much again as the agent itself, and nobody calls out before.
      if (isProxyWanted) setImmediate(startProxy);
      isProxyWanted = false;
      return takeIdentity(hello, { system, clock, agentVersion: packageFacts.version, log });
    },
    // The host lets only callers through that a message is declared for; to the guest they are all the host.
    onOpen: (incoming) => dispatcher.dispatch(incoming, "host"),
  });

  const dialer = new EgressDialer(() => link.mux);
  const startProxy = () => {
    import("./egress/http-proxy.ts")
      .then(({ HttpProxy }) => {
        const proxy = new HttpProxy({ dial: (target, signal) => dialer.dial(target, signal) });
        return proxy.listen(env.ATOLL_PROXY_PORT);
      })
      .catch((cause: unknown) => log(`proxy: ${String(cause)}`));
  };

  if (env.ATOLL_LINK.startsWith("unix:")) listenForPipes(env.ATOLL_LINK.slice("unix:".length), link.listen);
  else new PortPipe(native, env.ATOLL_LINK, link.listen);
}
