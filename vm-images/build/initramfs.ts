import { readFile, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { type CpioEntry, cpioArchive } from "./cpio-archive.ts";
import { runCommand } from "./run-command.ts";

export interface InitramfsOptions {
  /** Folder with `lib/modules/<release>/`, indexed by depmod. */
  modulesRoot: string;
  kernelRelease: string;
  modules: readonly string[];
  /** A static busybox. */
  busyboxPath: string;
  initPath: string;
  /** Modules are unpacked here. */
  scratch: string;
  output: string;
  signal?: AbortSignal | undefined;
}

/** busybox, the modules in load order, and `init`. Not compressed: under emulation reading is cheaper than unpacking. */
export async function makeInitramfs(options: InitramfsOptions): Promise<void> {
  const moduleFolder = join(options.modulesRoot, "lib/modules", options.kernelRelease);
  const order = loadOrder(await readFile(join(moduleFolder, "modules.dep"), "utf8"), options.modules);
  const modules: CpioEntry[] = [];
  for (const path of order) {
    const name = basename(path).replace(/\.xz$/, "");
    modules.push({ path: `modules/${name}`, content: await readModule(join(moduleFolder, path), options) });
  }
  const names = order.map((path) => basename(path).replace(/\.xz$/, ""));
  const archive = cpioArchive([
    ...["bin", "dev", "proc", "sys", "modules"].map((path) => ({ path })),
    { path: "bin/busybox", content: await readFile(options.busyboxPath), executable: true },
    { path: "init", content: await readFile(options.initPath), executable: true },
    ...modules,
    { path: "modules/order", content: Buffer.from(names.map((name) => `${name}\n`).join("")) },
  ]);
  await writeFile(options.output, archive);
}

async function readModule(path: string, { scratch, signal }: InitramfsOptions): Promise<Buffer> {
  if (!path.endsWith(".xz")) return readFile(path);
  const copy = join(scratch, basename(path));
  await writeFile(copy, await readFile(path));
  await runCommand(["xz", "--decompress", copy], { signal });
  return readFile(copy.replace(/\.xz$/, ""));
}

/** Paths of the modules and all they need, each after what it needs. */
export function loadOrder(modulesDep: string, names: readonly string[]): string[] {
  const needs = new Map<string, string[]>();
  for (const line of modulesDep.split("\n")) {
    const [path, rest] = line.split(":");
    if (path !== undefined && rest !== undefined) needs.set(path, rest.trim().split(/\s+/).filter(Boolean));
  }
  const nameOf = (path: string) =>
    basename(path)
      .replace(/\.ko(\.\w+)?$/, "")
      .replaceAll("-", "_");
  const order: string[] = [];
  const add = (path: string) => {
    if (order.includes(path)) return;
    for (const needed of needs.get(path) ?? []) add(needed);
    order.push(path);
  };
  for (const name of names) {
    const path = [...needs.keys()].find((candidate) => nameOf(candidate) === name);
    if (path === undefined) throw new Error(`the kernel package has no module ${name}`);
    add(path);
  }
  return order;
}
