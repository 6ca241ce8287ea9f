import { expect, test } from "vitest";
import { jailCommand } from "./jail.ts";

const jail = (kvmGroup?: number) =>
  jailCommand({
    vmmRoot: "/cache/vmm",
    runDirectory: "/dev/shm/run/one",
    files: [
      { source: "/data/disk", name: "disk", isWritable: true },
      { source: "/cache/kernel", name: "kernel", isWritable: false },
    ],
    uid: 210_007,
    kvmGroup,
    command: ["/usr/bin/qemu", "-S"],
  });

test("privileges go before the inner jail is made, and QEMU comes last", () => {
  const argv = jail();
  const [outer, drop] = [argv.indexOf("bwrap"), argv.indexOf("setpriv")];
  const inner = argv.indexOf("bwrap", drop);
  expect(argv.slice(0, 2)).toEqual(["prlimit", "--core=1:1"]);
  expect(outer).toBeLessThan(drop);
  expect(argv.slice(drop, inner)).toEqual([
    "setpriv",
    "--reuid=210007",
    "--regid=210007",
    "--clear-groups",
    "--no-new-privs",
    "--inh-caps=-all",
    "--ambient-caps=-all",
    "--bounding-set=-all",
  ]);
  for (const kind of ["user", "pid", "net", "ipc", "uts"]) {
    expect(argv.indexOf(`--unshare-${kind}`)).toBeGreaterThan(inner);
  }
  expect(argv.slice(-3)).toEqual(["--", "/usr/bin/qemu", "-S"]);
});

test("only the machine's own files are writable, and the host's tree is not inside", () => {
  const argv = jail();
  const inner = argv.slice(argv.indexOf("bwrap", argv.indexOf("setpriv")));
  const targets = (option: string) =>
    inner.flatMap((argument, index) => (argument === option ? [inner[index + 2] as string] : []));
  expect(targets("--bind")).toEqual(["/vm", "/files/disk"]);
  expect(targets("--ro-bind")).toEqual(["/usr", "/files/kernel"]);
  expect(targets("--dev-bind")).toEqual([]);
});

test("the KVM node is visible only to machines that use it", () => {
  const argv = jail(105);
  expect(argv).toContain("--groups=105");
  expect(argv.join(" ")).toContain("--dev-bind /dev/kvm /dev/kvm");
  expect(jail().join(" ")).not.toContain("/dev/kvm");
});
