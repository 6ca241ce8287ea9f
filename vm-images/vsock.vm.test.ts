import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cacheDirectory } from "./build/env.ts";
import { CommandFailed } from "./build/run-command.ts";
import { buildImage } from "./build-image.ts";
import { buildVmm } from "./build-vmm.ts";
import { buildVsockDevice } from "./build-vsock-device.ts";
import { BootedGuest, socketAppears, temporaryFolder } from "./testing/booted-guest.ts";
import { connectSocket, LineClient } from "./testing/line-client.ts";

/** The port of the agent's socket, see run-agent. */
const AGENT_PORT = 1024;

test("a guest started with atoll.link=vsock answers on a vsock port too", async ({ skip }) => {
  const cacheDir = cacheDirectory;
  const vmm = await buildVmm({ cacheDir });
  const agentEntry = join(import.meta.dirname, "testing/line-agent.ts");
  const image = await buildImage({ name: "base", cacheDir, agentEntry });
  const [command, ...loader] = await buildVsockDevice({ cacheDir }).catch((error: unknown) => {
    if (error instanceof CommandFailed) skip(`the vsock device cannot be had here: ${error.message}`);
    throw error;
  });
  await using folder = await temporaryFolder();

  const deviceSocket = join(folder.path, "device.sock");
  const hostSocket = join(folder.path, "vsock.sock");
  const signal = AbortSignal.timeout(120_000);
  const isUp = socketAppears(deviceSocket, signal);
  const device = spawn(
    command,
    [...loader, "--guest-cid", "3", "--socket", deviceSocket, "--uds-path", hostSocket],
    { stdio: ["ignore", "inherit", "inherit"] },
  );
  const deviceGone = once(device, "exit");
  try {
    await isUp;
    await using _guest = await BootedGuest.boot({
      vmm,
      image,
      folder: folder.path,
      kernelArguments: ["atoll.link=vsock"],
      qemuArguments: [
        "-chardev",
        `socket,id=vsock,path=${deviceSocket}`,
        "-device",
        "vhost-user-vsock-pci,chardev=vsock",
      ],
    });
    using client = await dialGuest(hostSocket, signal);
    expect((await client.run("uname", "-r")).stdout.trim()).toBe(image.manifest.kernelRelease);
  } finally {
    device.kill("SIGKILL");
    await deviceGone;
  }
});

/** `CONNECT <port>`, answered by `OK <port>` once the guest listens; closed without an answer until then. */
async function dialGuest(path: string, signal: AbortSignal): Promise<LineClient> {
  for (;;) {
    signal.throwIfAborted();
    const socket = await connectSocket(path, signal);
    socket.write(`CONNECT ${AGENT_PORT}\n`);
    const answer = await Promise.race([once(socket, "data", { signal }), once(socket, "close", { signal })]);
    if (String(answer[0]).startsWith("OK ")) return new LineClient(socket);
    socket.destroy();
  }
}
