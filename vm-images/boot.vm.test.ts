import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { cacheDirectory } from "./build/env.ts";
import type { GuestImage } from "./build/image-manifest.ts";
import { buildImage } from "./build-image.ts";
import { buildVmm, type Vmm } from "./build-vmm.ts";
import { BootedGuest, temporaryFolder } from "./testing/booted-guest.ts";

const GIB = 1024 ** 3;
let vmm: Vmm;
let image: GuestImage;

beforeAll(async () => {
  const cacheDir = cacheDirectory;
  vmm = await buildVmm({ cacheDir });
  image = await buildImage({
    name: "base",
    cacheDir,
    agentEntry: join(import.meta.dirname, "testing/line-agent.ts"),
  });
});

describe("a booted guest", () => {
  let folder: Awaited<ReturnType<typeof temporaryFolder>>;
  let guest: BootedGuest;

  beforeAll(async () => {
    folder = await temporaryFolder();
    // A disk of the largest plan: it costs a boot no more than a small one.
    guest = await BootedGuest.boot({ vmm, image, folder: folder.path, diskSizeBytes: 100 * GIB });
  });
  afterAll(async () => {
    await guest?.[Symbol.asyncDispose]();
    await folder?.[Symbol.asyncDispose]();
  });

  test("runs the image's own kernel", async () => {
    expect(await guest.client.shell("uname -r")).toBe(image.manifest.kernelRelease);
  });

  test("has the promised tools", async () => {
    expect(await guest.client.shell("node --version")).toBe(`v${image.manifest.nodeVersion}`);
    expect(await guest.client.shell("python3 --version")).toMatch(/^Python 3\.13\./);
    const tools = "git curl gcc make npm pip bash nano vim sudo socat ip ps";
    expect(
      await guest.client.shell(`for tool in ${tools}; do command -v $tool >/dev/null || echo $tool; done`),
    ).toBe("");
    expect(await guest.client.shell("locale charmap 2>&1; echo $LANG")).toBe("UTF-8\nC.UTF-8");
  });

  test("compiles and runs a C program", async () => {
    const program = `printf 'int main(void){return 42;}' >/tmp/a.c && gcc -o /tmp/a /tmp/a.c; /tmp/a; echo $?`;
    expect(await guest.client.shell(program)).toBe("42");
  });

  test("gives dev a home, a workspace and sudo without a password", async () => {
    expect(await guest.client.shell("id -u; pwd; stat -c %U /workspace")).toBe("1000\n/home/dev\ndev");
    expect(await guest.client.shell("sudo -n id -un")).toBe("root");
  });

  test("writes to the user's disk and to nothing else", async () => {
    await guest.client.shell("echo mine >/workspace/a; sudo sh -c 'echo ours >/opt/b'");
    const { stdout } = await guest.client.run(
      "cat",
      "/run/atoll/disk/upper/workspace/a",
      "/run/atoll/disk/upper/opt/b",
    );
    expect(stdout).toBe("mine\nours\n");
    expect(
      await guest.client.shell(
        "sudo touch /run/atoll/base/x /opt/atoll/x 2>&1 | grep -c 'Read-only file system'",
      ),
    ).toBe("2");
  });

  test("has the whole of a disk of the largest plan", async () => {
    const available = Number(await guest.client.shell("df --output=avail -B1 / | tail -1"));
    expect(available).toBeGreaterThan(94 * GIB);
  });

  test("shares no identity with other guests", async () => {
    expect(await guest.client.shell("stat -L -c %s /etc/machine-id; ls /etc/ssh | grep -c host_key")).toBe(
      "0\n0",
    );
    expect(
      await guest.client.shell("find / -xdev -name '*random-seed*' -not -path '/proc/*' 2>/dev/null"),
    ).toBe("");
    expect(await guest.client.shell("hostname; getent hosts $(hostname) | wc -l")).toBe("atoll\n1");
  });

  test("has loopback and no other network", async () => {
    expect(await guest.client.shell("ls /sys/class/net")).toBe("lo");
    expect(await guest.client.shell("cat /sys/class/net/lo/flags")).toBe("0x9");
  });

  test("sends every package tool to the proxy on loopback", async () => {
    const proxy = "http://127.0.0.1:3128";
    expect(await guest.client.shell("apt-config dump Acquire::http::Proxy")).toContain(proxy);
    expect(await guest.client.shell("npm config get proxy")).toBe(proxy);
    expect(await guest.client.shell("pip config list")).toContain(`global.proxy='${proxy}'`);
    expect(await guest.client.shell("git config http.proxy")).toBe(proxy);
    expect(await guest.client.shell("sudo env | grep -c _proxy=")).toBe("3");
  });

  test("names only hosts of its own configuration as package sources", async () => {
    const configured = await guest.client.shell("cat /etc/apt/sources.list; cat /etc/npmrc /etc/pip.conf");
    const hosts = [...configured.matchAll(/https?:\/\/([^/:\s]+)/g)].map((match) => match[1]);
    const named = new Set(hosts.filter((host) => host !== "127.0.0.1"));
    expect(named.size).toBeGreaterThan(0);
    expect(
      [...named].every((host) => host !== undefined && image.manifest.packageSources.includes(host)),
    ).toBe(true);
  });

  test("knows Debian's packages without asking anybody", async () => {
    expect(await guest.client.shell("sudo apt-get install --simulate htop")).toContain("Inst htop");
  });

  test("opens terminals of the asked size", async () => {
    expect(await guest.client.ask({ kind: "terminal", argv: ["stty", "size"] })).toEqual({
      status: 0,
      stdout: "37 91\r\n",
      stderr: "",
    });
  });

  test("takes a new clock, host name and entropy", async () => {
    const clock = await guest.client.ask({ kind: "native", name: "setClock", argument: 1_800_000_000_000 });
    expect(clock).toEqual({ now: expect.any(Number) });
    expect(Number(await guest.client.shell("date +%s"))).toBeGreaterThanOrEqual(1_800_000_000);
    await guest.client.ask({ kind: "native", name: "setHostname", argument: "blue-fox" });
    expect(await guest.client.shell("hostname; sudo -n true; echo $?")).toBe("blue-fox\n0");
    expect(await guest.client.ask({ kind: "reseed", byteCount: 64 })).toEqual({});
    expect(await guest.client.ask({ kind: "reseed", byteCount: 31 })).toMatchObject({
      code: "ERR_INVALID_ARG_TYPE",
    });
    expect(
      await guest.client.ask({ kind: "native", name: "setHostname", argument: "x".repeat(65) }),
    ).toMatchObject({
      code: "ERR_INVALID_ARG_TYPE",
    });
  });

  test("freezes the user's disk once and thaws it once", async () => {
    const freeze = { kind: "native", name: "freeze", argument: "/run/atoll/disk" };
    const thaw = { ...freeze, name: "thaw" };
    expect(await guest.client.ask(freeze)).toHaveProperty("now");
    expect(await guest.client.ask(freeze)).toMatchObject({ code: "EBUSY" });
    expect(await guest.client.ask(thaw)).toHaveProperty("now");
    expect(await guest.client.ask(thaw)).toMatchObject({ code: "EINVAL" });
    expect(await guest.client.shell("echo after >/workspace/c; cat /workspace/c")).toBe("after");
  });

  test("restarts an agent that died", async () => {
    guest.client.tell({ kind: "die" });
    await guest.client.started();
    expect(await guest.client.shell("sudo dmesg | grep -c 'agent ended with status 7'")).toBe("1");
  });
});

describe("a user's disk", () => {
  test("survives whatever its owner does to the system, and a full disk", { timeout: 300_000 }, async () => {
    await using folder = await temporaryFolder();
    let diskPath: string;
    {
      await using guest = await BootedGuest.boot({ vmm, image, folder: folder.path, diskSizeBytes: GIB / 2 });
      diskPath = guest.diskPath;
      await guest.client.shell("echo kept >/home/dev/kept");
      // Even root's reserve is gone afterwards.
      await guest.client.shell(
        "sudo dd if=/dev/zero of=/fill bs=1M 2>/dev/null; sudo dd if=/dev/zero of=/fill2 bs=1k 2>/dev/null",
      );
      await guest.client.run(
        "sh",
        "-c",
        "rm -rf /usr/local/bin /etc/inittab /usr/lib/atoll /usr/lib/x86_64-linux-gnu/libstdc++*",
      );
      await guest.client.run("/run/atoll/base/usr/bin/busybox", "sync");
      const halted = once(guest.qemu, "exit");
      guest.client.tell({ kind: "run", argv: ["/run/atoll/base/usr/bin/busybox", "poweroff"] });
      await halted;
    }
    await using again = await BootedGuest.boot({ vmm, image, folder: folder.path, diskPath });
    const { stdout } = await again.client.run("/run/atoll/base/usr/bin/busybox", "cat", "/home/dev/kept");
    expect(stdout).toBe("kept\n");
  });
});
