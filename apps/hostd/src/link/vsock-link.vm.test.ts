import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { access, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Scope } from "@atoll/base/scope";
import { AtollError } from "@atoll/protocol/atoll-error";
import { call, openChannel } from "@atoll/protocol/call";
import { STREAMS_PER_LINK } from "@atoll/protocol/limits";
import { FIRST_LINK_TOKEN } from "@atoll/protocol/link-handshake";
import { coreStatus } from "@atoll/protocol/messages/core";
import { processRun } from "@atoll/protocol/messages/process";
import type { Mux } from "@atoll/protocol/mux";
import { CommandFailed } from "@atoll/vm-images/build/run-command";
import { buildVsockDevice } from "@atoll/vm-images/build-vsock-device";
import { expect, it } from "vitest";
import { formatDisk } from "../disks/format-disk.ts";
import { VmTestHost } from "../testing/vm-test-host.ts";
import { connectGuest } from "./connect-guest.ts";
import { dialVsock } from "./dial-vsock.ts";
import { MuxTransport } from "./mux-transport.ts";

const AGENT_PORT = 1024;
const BOOT_TIMEOUT_MS = 150_000;

/** The second transport of the link: the same agent, handshake and streams over a guest's vsock port. */
it("speaks with the agent over vsock, and again after the connection was cut", async ({ skip }) => {
  await using scope = new Scope();
  const cacheDir = process.env.ATOLL_CACHE ?? resolve(import.meta.dirname, "../../../../.data/cache");
  const device = await buildVsockDevice({ cacheDir }).catch((error: unknown) => {
    if (error instanceof CommandFailed) skip(`the vsock device cannot be had here: ${error.message}`);
    throw error;
  });
  const host = await VmTestHost.open();
  scope.own(host);
  const folder = await mkdtemp(join(tmpdir(), "atoll-vsock-"));
  scope.defer(() => rm(folder, { recursive: true }));
  const [deviceSocket, hostSocket] = [join(folder, "device.sock"), join(folder, "vsock.sock")];
  run(scope, [...device, "--guest-cid", "3", "--socket", deviceSocket, "--uds-path", hostSocket]);
  const signal = AbortSignal.timeout(BOOT_TIMEOUT_MS);
  while (
    !(await access(deviceSocket).then(
      () => true,
      () => false,
    ))
  )
    await delay(20, undefined, { signal });
  const disk = join(folder, "disk.raw");
  await formatDisk(disk, 1024);
  run(scope, [...host.vmm.qemuCommand, ...guestArguments(host, disk, deviceSocket)]);

  const first = await handshake(hostSocket, FIRST_LINK_TOKEN, "boot", signal);
  expect(first.answer.isReseeded).toBe(true);
  const kernel = (await call(first.mux, coreStatus, {})).kernel;
  expect(await output(first.mux, ["uname", "-r"])).toBe(kernel);
  expect(await output(first.mux, ["hostname"])).toBe("over-vsock");
  first.socket.destroy();

  const second = await handshake(hostSocket, first.linkToken, "reconnect", signal);
  expect(await output(second.mux, ["uname", "-r"])).toBe(kernel);
  second.socket.destroy();
});

function run(scope: Scope, [program, ...argv]: readonly string[]): void {
  const child = spawn(program ?? "", argv, { stdio: ["ignore", "ignore", "inherit"] });
  scope.defer(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = once(child, "exit");
    child.kill("SIGKILL");
    await gone;
  });
}

/** Dials until the agent answers: before it listens, connections are closed, by the guest's kernel or by its bridge. */
async function handshake(
  socketPath: string,
  expectedToken: string,
  reason: "boot" | "reconnect",
  signal: AbortSignal,
) {
  for (;;) {
    try {
      return await connect(socketPath, expectedToken, reason, signal);
    } catch (error) {
      if (!(error instanceof AtollError && error.code === "link.lost")) throw error;
      await delay(200, undefined, { signal });
    }
  }
}

async function connect(
  socketPath: string,
  expectedToken: string,
  reason: "boot" | "reconnect",
  signal: AbortSignal,
) {
  const linkToken = randomBytes(32).toString("hex");
  const socket = await dialVsock({ socketPath, port: AGENT_PORT, timeoutMs: 5000, signal });
  const { answer, early } = await connectGuest({
    duplex: socket,
    expectedToken,
    linkToken,
    reason,
    identity: { workspaceId: "vsock", hostname: "over-vsock", machineId: randomBytes(16).toString("hex") },
    egress: "off",
    timeoutMs: 60_000,
    signal,
  });
  const transport = new MuxTransport({
    duplex: socket,
    side: "client",
    maxStreams: STREAMS_PER_LINK,
    onOpen: (open) => open.refuse(new AtollError("egress.denied")),
    onClosed: () => {},
  });
  transport.start(early);
  return { answer, socket, linkToken, mux: transport.mux };
}

async function output(mux: Mux, argv: string[]): Promise<string> {
  const channel = await openChannel(mux, processRun, { argv, timeoutMs: 30_000 });
  let text = "";
  for await (const item of channel.items())
    if (item.kind === "data") text += Buffer.from(item.bytes).toString();
  return text.trim();
}

/** The shape of our machines, with the link's port replaced by a vsock and guest RAM shared with its device. */
function guestArguments({ image }: VmTestHost, disk: string, deviceSocket: string): string[] {
  const [base = "", agent = ""] = image.layerPaths;
  const drives = [
    { id: "base", path: base, options: "readonly=on" },
    { id: "agent", path: agent, options: "readonly=on" },
    { id: "disk", path: disk, options: "discard=unmap" },
  ];
  return [
    ...["-nodefaults", "-no-user-config", "-display", "none", "-accel", "tcg,tb-size=256", "-cpu", "max"],
    ...["-machine", "q35,vmport=off,usb=off,hpet=off,graphics=off,memory-backend=ram", "-m", "512"],
    ...["-object", "memory-backend-memfd,id=ram,size=512M,share=on"],
    ...["-kernel", image.kernelPath, "-initrd", image.initramfsPath],
    ...["-append", `${image.kernelArguments} atoll.link=vsock`],
    ...drives.flatMap(({ id, path, options }) => [
      ...["-drive", `if=none,id=${id},file=${path},format=raw,${options}`],
      ...["-device", `virtio-blk-pci,drive=${id},serial=${id}`],
    ]),
    ...["-chardev", `socket,id=vsock,path=${deviceSocket}`, "-device", "vhost-user-vsock-pci,chardev=vsock"],
    ...["-device", "virtio-rng-pci"],
  ];
}
