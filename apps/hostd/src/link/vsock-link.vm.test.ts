import { access, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { systemClock } from "@atoll/base/clock";
import { Scope } from "@atoll/base/scope";
import { call } from "@atoll/protocol/call";
import { coreStatus } from "@atoll/protocol/messages/core";
import { readMachineSources } from "@atoll/vm-images/build/machine-sources";
import { CommandFailed, runCommand } from "@atoll/vm-images/build/run-command";
import { buildVsockDevice, VSOCK_DEVICE_SUITE } from "@atoll/vm-images/build-vsock-device";
import { expect, it } from "vitest";
import { formatDisk } from "../disks/format-disk.ts";
import { BareGuest, startChild } from "../testing/bare-guest.ts";
import { VmTestHost } from "../testing/vm-test-host.ts";
import { dialVsock } from "./dial-vsock.ts";
import { VsockCall } from "./vsock-call.ts";

const AGENT_PORT = 1024;
const DIAL_TIMEOUT_MS = 5000;
const DEVICE_TIMEOUT_MS = 60_000;
const CALL_TIMEOUT_MS = 150_000;
const TEST_TIMEOUT_MS = 420_000;

/** The second transport of the link: the same agent, handshake and streams over a guest's vsock port. */
it(
  "speaks with the agent over vsock, and again after the connection was cut",
  async ({ skip }) => {
    await using scope = new Scope();
    const cacheDir = process.env.ATOLL_CACHE ?? resolve(import.meta.dirname, "../../../../.data/cache");
    const device = await buildVsockDevice({ cacheDir }).catch(async (error: unknown) => {
      if (error instanceof CommandFailed && !(await isSuiteThere())) {
        skip(`this machine's mirror does not have the suite of the vsock device: ${error.message}`);
      }
      throw error;
    });
    const host = await VmTestHost.open();
    scope.own(host);
    const folder = await mkdtemp(join(tmpdir(), "atoll-vsock-"));
    scope.defer(() => rm(folder, { recursive: true }));
    const [deviceSocket, socketPath] = [join(folder, "device.sock"), join(folder, "vsock.sock")];
    const diskPath = join(folder, "disk.raw");
    await formatDisk(diskPath, 1024);
    startChild(scope, [...device, "--guest-cid", "3", "--socket", deviceSocket, "--uds-path", socketPath]);
    await untilThere(deviceSocket);
    const guestCall = scope.own(await VsockCall.listen(socketPath));
    const guest = await BareGuest.boot({
      ...{ host, folder, diskPath },
      link: {
        kernelArguments: "atoll.link=vsock",
        devices: [
          ...["-chardev", `socket,id=vsock,path=${deviceSocket}`],
          ...["-device", "vhost-user-vsock-pci,chardev=vsock"],
        ],
        async dial(signal) {
          await guestCall.arrived({ timeoutMs: CALL_TIMEOUT_MS, clock: systemClock, signal });
          return dialVsock({ socketPath, port: AGENT_PORT, timeoutMs: DIAL_TIMEOUT_MS, signal });
        },
      },
    });
    scope.own(guest);

    const { kernel } = await call(guest.mux, coreStatus, {});
    expect((await guest.run("uname", "-r")).output).toBe(`${kernel}\n`);
    expect((await guest.run("hostname")).output).toBe("bare\n");
    await guest.reconnect();
    expect((await guest.run("uname", "-r")).output).toBe(`${kernel}\n`);
  },
  TEST_TIMEOUT_MS,
);

/** Asked as apt asks: anything else that fails is our own mistake. */
async function isSuiteThere(): Promise<boolean> {
  const { apt } = await readMachineSources();
  const folder = await mkdtemp(join(tmpdir(), "atoll-suite-"));
  const place = new URL(`dists/${VSOCK_DEVICE_SUITE}/InRelease`, apt.archiveUri.replace(/\/?$/, "/")).href;
  try {
    await runCommand(["/usr/lib/apt/apt-helper", "download-file", place, join(folder, "InRelease")]);
    return true;
  } catch (error) {
    if (error instanceof CommandFailed) return false;
    throw error;
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function untilThere(path: string): Promise<void> {
  const signal = AbortSignal.timeout(DEVICE_TIMEOUT_MS);
  const isThere = () =>
    access(path).then(
      () => true,
      () => false,
    );
  while (!(await isThere())) await delay(20, undefined, { signal });
}
