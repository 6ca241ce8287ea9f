import { readFile, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { z } from "zod";
import { provideArtifact } from "./build/artifact-store.ts";
import type { BuildOptions } from "./build/base-image.ts";
import { contentKey } from "./build/content-key.ts";
import { readMachineSources } from "./build/machine-sources.ts";
import { linkMergedUsr } from "./build/merged-usr.ts";
import { runCommand } from "./build/run-command.ts";
import { unpackDebian } from "./build/unpack-debian.ts";
import { writePointer } from "./build/write-pointer.ts";

const vmmDeclaration = z.strictObject({
  suite: z.string(),
  /** Any date: another one builds anew from the packages that the mirror has then. */
  updated: z.iso.date().optional(),
  components: z.array(z.string()).min(1),
  packages: z.array(z.string()).min(1),
  minimumQemuVersion: z.string().regex(/^\d+\.\d+$/),
});

/** QEMU in a root of its own, which is also what a jailed QEMU sees as `/`. */
export interface Vmm {
  root: string;
  /** Path of QEMU inside `root`. */
  qemuPath: string;
  /** Runs qemu-img on the machine itself, with the root's own loader and libraries: paths are the machine's. */
  qemuImgCommand: readonly [string, ...string[]];
  /** Runs QEMU on the machine itself, without a jail: for probes, template baking and tests. */
  qemuCommand: readonly [string, ...string[]];
  version: string;
  key: string;
}

/** Raise when the code below changes what the root holds. */
const BUILD_GENERATION = 1;

/**
 * Debian 12's QEMU 7.2 corrupts guests under TCG, so the VMM comes from a newer Debian, unpacked but not installed.
 * Recorded as the current one in `<cache>/current/vmm.json`.
 */
export async function buildVmm(options: BuildOptions): Promise<Vmm> {
  const { signal } = options;
  if (process.arch !== "x64")
    throw new Error(`the VMM root is built for x64 only, this machine is ${process.arch}`);
  const text = await readFile(join(import.meta.dirname, "vmm/vmm.json"), "utf8");
  const declaration = vmmDeclaration.parse(JSON.parse(text));
  const { apt } = await readMachineSources(signal);
  const key = await contentKey({ values: [BUILD_GENERATION, declaration, apt], paths: [] });
  const folder = await provideArtifact({
    parent: join(options.cacheDir, "vmm"),
    key,
    signal,
    onMissing: () => options.onProgress?.(`vmm: unpacking QEMU from Debian ${declaration.suite}`),
    build: async ({ result }) => {
      const root = join(result, "root");
      const { suite, components, packages } = declaration;
      await unpackDebian({ root, suite, components, packages, apt, variant: "extract", signal });
      await linkMergedUsr(root);
      await writeFile(
        join(result, "version"),
        await qemuVersion(vmmAt(root, "", key), declaration.minimumQemuVersion),
      );
    },
  });
  const version = await readFile(join(folder, "version"), "utf8");
  const vmm = vmmAt(join(folder, "root"), version, key);
  await writePointer(join(options.cacheDir, "current/vmm.json"), vmm);
  return vmm;
}

function vmmAt(root: string, version: string, key: string): Vmm {
  const libraries = join(root, "usr/lib/x86_64-linux-gnu");
  const loader = [join(root, "usr/lib64/ld-linux-x86-64.so.2"), "--library-path", libraries] as const;
  return {
    root,
    qemuPath: "/usr/bin/qemu-system-x86_64",
    qemuImgCommand: [...loader, join(root, "usr/bin/qemu-img")],
    qemuCommand: [
      ...loader,
      join(root, "usr/bin/qemu-system-x86_64"),
      "-L",
      join(root, "usr/share/qemu"),
      "-L",
      join(root, "usr/share/seabios"),
    ],
    version,
    key,
  };
}

async function qemuVersion(vmm: Vmm, minimum: string): Promise<string> {
  const reply = await runCommand([...vmm.qemuCommand, "--version"]);
  const version = /version (\d+\.\d+(?:\.\d+)?)/.exec(reply)?.[1];
  if (version === undefined || version.localeCompare(minimum, "en", { numeric: true }) < 0) {
    throw new Error(`the unpacked QEMU is ${version ?? "unknown"}, at least ${minimum} is needed`);
  }
  return version;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { cache: { type: "string" } } });
  if (values.cache === undefined) throw new Error("usage: build-vmm.ts --cache <folder>");
  const vmm = await buildVmm({ cacheDir: resolve(values.cache), onProgress: (line) => console.error(line) });
  console.log(JSON.stringify(vmm, undefined, 2));
}
