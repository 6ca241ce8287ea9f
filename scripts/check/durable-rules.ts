import { isTest } from "./import-rules.ts";
import type { Source } from "./sources.ts";

/** Where what is written on the host may have to survive a power cut. */
const WATCHED =
  /^(?:apps\/(?:hostd|gateway)\/src|packages\/(?:keys|db)\/src|scripts\/start)\/(?!generated\/)(?:.*\/)?[^/]+\.ts$/;
/** Worlds and drivers for tests that lie beside the product. */
const TESTS = /^apps\/hostd\/src\/(?:proof|testing|hypervisor\/fake)\/|contract[^/]*(?:\/[^/]+)?\.ts$/;
const CHANGES = new Set(
  [
    ...["appendFile", "copyFile", "cp", "link", "mkdir", "rename", "rm", "rmdir", "symlink", "truncate"],
    ...["unlink", "writeFile"],
  ].flatMap((name) => [name, `${name}Sync`]),
);
CHANGES.add("createWriteStream");
const IMPORT =
  /^import\s+(?:(\w+|\*\s+as\s+\w+)\s*,?\s*)?(?:\{([^}]*)\}\s*)?from\s+"node:fs(?:\/promises)?"/gm;
const OPENED_FOR_WRITING = /\bopen(?:Sync)?\([^)]*["'](?:w|a|wx|ax|r\+|w\+|a\+)["']/;

/** Why each of these may change files past `packages/durable`: nothing of it has to be there after a power cut. */
const REASONS: Record<string, string> = {
  "apps/hostd/src/api/listen-on-unix-socket.ts": "a socket",
  "apps/hostd/src/disks/create-disk.ts": "a key in memory-backed space",
  "apps/hostd/src/disks/format-disk.ts": "a template's disk while it is baked, which its store makes durable",
  "apps/hostd/src/hypervisor/qemu/base-ram.ts": "names in memory-backed space; empty RAM files",
  "apps/hostd/src/hypervisor/qemu/unpacked-state.ts": "guests' memory in memory-backed space",
  "apps/hostd/src/hypervisor/qemu/layer-files.ts": "keys in memory-backed space",
  "apps/hostd/src/hypervisor/qemu/guest-memory.ts": "the RAM of a process",
  "apps/hostd/src/hypervisor/qemu/qemu-hypervisor.ts": "run directories in memory-backed space",
  "apps/hostd/src/hypervisor/qemu/qemu-machine.ts":
    "devices in memory-backed space; a template's, which its store makes durable",
  "apps/hostd/src/hypervisor/qemu/scripted-monitor.ts": "a test's socket",
  "apps/hostd/src/hypervisor/qemu/spawn-jailed.ts": "a log in memory-backed space",
  "apps/hostd/src/machine-host.ts": "memory-backed space; empty RAM files",
  "packages/db/src/embedded-postgres.ts":
    "what initdb fills and syncs; its final name is given by packages/durable",
  "scripts/start/data-lock.ts": "says who holds a lock that a power cut ends",
  "scripts/start/generate-client.ts": "generated code and its stamp, made anew when they differ",
  "scripts/start/layout.ts": "empty directories; whoever keeps something in one makes it durable",
  "scripts/start/prepare.ts": "a log",
  "scripts/start/service-records.ts": "processes, which a power cut ends",
  "scripts/start/service.ts": "logs",
  "scripts/start/stack.ts": "the address of a database that runs",
};

/** Changes of files that crash tests cannot see. */
export function durableFaults({ path, text }: Source): string[] {
  if (!WATCHED.test(path) || TESTS.test(path) || isTest(path)) return [];
  const changes: string[] = [];
  for (const [, whole, named = ""] of text.matchAll(IMPORT)) {
    if (whole !== undefined) changes.push(whole);
    const names = named.split(",").map((name) => name.trim().split(/\s+as\s+/)[0] ?? "");
    changes.push(...names.filter((name) => CHANGES.has(name)));
  }
  if (OPENED_FOR_WRITING.test(text) && /from "node:fs/.test(text)) changes.push("open for writing");
  if (path in REASONS) {
    return changes.length > 0
      ? []
      : [`${path}: changes no files past packages/durable any more; take it out of durable-rules.ts`];
  }
  if (changes.length === 0) return [];
  return [
    `${path}: changes files by ${changes.join(", ")}; use @atoll/durable, or say in scripts/check/durable-rules.ts why a power cut does not matter`,
  ];
}
