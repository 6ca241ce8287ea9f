import { cp, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { provideArtifact } from "./artifact-store.ts";
import { contentKey } from "./content-key.ts";
import { certificateFiles } from "./env.ts";
import { type ExtraCertificate, readExtraCertificates } from "./extra-certificates.ts";
import { fileFacts } from "./file-facts.ts";
import { packageSourceHosts, writeGuestConfiguration } from "./guest-configuration.ts";
import { type ImageDeclaration, imageDeclaration } from "./image-declaration.ts";
import { type BaseManifest, baseManifest } from "./image-manifest.ts";
import { makeInitramfs } from "./initramfs.ts";
import { type MachineSources, readMachineSources } from "./machine-sources.ts";
import { unpackNpmPackage } from "./npm-package.ts";
import { plainKernel } from "./plain-kernel.ts";
import { runCommand } from "./run-command.ts";
import { unpackDebian } from "./unpack-debian.ts";

export interface BuildOptions {
  cacheDir: string;
  onProgress?: ((line: string) => void) | undefined;
  signal?: AbortSignal | undefined;
}

/** Every file gets this date, so that two builds of the same packages give the same image. 2026-01-01. */
const SOURCE_DATE_EPOCH = "1767225600";

/** Raise when the code of this folder changes what an image holds. */
const BUILD_GENERATION = 3;

const NATIVE_SOURCES = join(import.meta.dirname, "../../packages/agent/native");

interface BaseInputs {
  declaration: ImageDeclaration;
  /** `vm-images/<name>`. */
  folder: string;
  sources: MachineSources;
  certificates: ExtraCertificate[];
}

/** The read-only part of an image that needs no agent: kernel, initramfs and Debian. About 90 s when it is new. */
export async function buildBase(
  declaration: ImageDeclaration,
  options: BuildOptions,
): Promise<{ path: string; manifest: BaseManifest }> {
  const { signal } = options;
  const folder = join(import.meta.dirname, "..", declaration.name);
  const sources = await readMachineSources(signal);
  const files = [...certificateFiles, ...(sources.npm.cafile === undefined ? [] : [sources.npm.cafile])];
  const certificates = await readExtraCertificates(files);
  const key = await contentKey({
    values: [
      BUILD_GENERATION,
      imageDeclaration.parse(declaration),
      sources,
      certificates.map(({ id }) => id),
    ],
    paths: [
      join(folder, "rootfs"),
      join(folder, "initramfs"),
      join(folder, "customize.sh"),
      join(NATIVE_SOURCES, "guest-native.c"),
    ],
  });
  const path = await provideArtifact({
    parent: join(options.cacheDir, "images", declaration.name),
    key,
    signal,
    onMissing: () => options.onProgress?.(`image ${declaration.name}: building ${key}`),
    build: (folders) => makeBase({ declaration, folder, sources, certificates }, key, folders, options),
  });
  const manifest = baseManifest.parse(JSON.parse(await readFile(join(path, "image.json"), "utf8")));
  return { path, manifest };
}

async function makeBase(
  inputs: BaseInputs,
  key: string,
  { result, scratch }: { result: string; scratch: string },
  { onProgress, signal }: BuildOptions,
): Promise<void> {
  const { declaration, folder, sources } = inputs;
  const report = (step: string) => onProgress?.(`image ${declaration.name}: ${step}`);

  report("fetching Node and npm");
  await unpackNpmPackage(declaration.node, join(scratch, "node"), { scratch, signal });
  await unpackNpmPackage(declaration.agentNode, join(scratch, "agent-node"), { scratch, signal });
  await unpackNpmPackage(declaration.npm, join(scratch, "npm"), { scratch, signal });
  await cp(join(folder, "rootfs"), join(scratch, "overlay"), { recursive: true });
  await writeGuestConfiguration(join(scratch, "overlay"), declaration, sources, inputs.certificates);
  await cp(NATIVE_SOURCES, join(scratch, "native"), { recursive: true });

  report(`unpacking Debian ${declaration.suite}`);
  const root = join(scratch, "root");
  await unpackDebian({
    root,
    suite: declaration.suite,
    components: declaration.components,
    packages: declaration.packages,
    apt: sources.apt,
    variant: "minbase",
    options: [
      "--skip=cleanup/apt",
      ...["Acquire::Languages none", "APT::Install-Recommends false"].map((option) => `--aptopt=${option}`),
      ...["man", "locale", "info", "doc"].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`),
      "--dpkgopt=path-include=/usr/share/doc/*/copyright",
      `--customize-hook=${join(folder, "customize.sh")}`,
    ],
    signal,
    env: {
      SOURCE_DATE_EPOCH,
      DEBIAN_FRONTEND: "noninteractive",
      ATOLL_STAGE: scratch,
      ATOLL_KERNEL_PACKAGE: declaration.kernelPackage,
    },
    onLine: (line) => {
      if (line.startsWith("I: ")) report(line.slice(3));
    },
  });

  report("packing kernel, initramfs and root file system");
  const kernelRelease = (await readFile(join(scratch, "kernel-release"), "utf8")).trim();
  const kernel = await readFile(join(scratch, `kernel/boot/vmlinuz-${kernelRelease}`));
  await writeFile(join(result, "vmlinuz"), kernel);
  await writeFile(join(result, "vmlinux"), plainKernel(kernel));
  await makeInitramfs({
    modulesRoot: root,
    kernelRelease,
    modules: declaration.initramfsModules,
    busyboxPath: join(root, "usr/bin/busybox"),
    initPath: join(folder, "initramfs/init"),
    scratch,
    output: join(result, "initramfs.img"),
    signal,
  });
  const pipDefaults = (await readFile(join(scratch, "pip-defaults"), "utf8")).trim().split("\n");
  await runCommand(
    [
      "mkfs.erofs",
      "--quiet",
      "-T",
      SOURCE_DATE_EPOCH,
      "-U",
      uuidFromKey(key),
      join(result, "base.erofs"),
      root,
    ],
    { signal },
  );

  const manifest: BaseManifest = {
    format: 1,
    name: declaration.name,
    key,
    kernelRelease,
    nodeVersion: declaration.node.version,
    kernelArguments: declaration.kernelArguments,
    emulatedKernelArguments: declaration.emulatedKernelArguments,
    packageSources: packageSourceHosts(sources, pipDefaults),
    base: await fileFacts(join(result, "base.erofs")),
    kernel: await fileFacts(join(result, "vmlinuz")),
    emulatedKernel: await fileFacts(join(result, "vmlinux")),
    initramfs: await fileFacts(join(result, "initramfs.img")),
  };
  await writeFile(
    join(result, "image.json"),
    `${JSON.stringify(baseManifest.parse(manifest), undefined, 2)}\n`,
  );
}

/** A file system needs a UUID; taking it from the key keeps the build repeatable. */
export function uuidFromKey(key: string): string {
  return key.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}
