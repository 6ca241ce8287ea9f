import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { provideArtifact } from "./build/artifact-store.ts";
import type { BuildOptions } from "./build/base-image.ts";
import { contentKey } from "./build/content-key.ts";
import { readMachineSources } from "./build/machine-sources.ts";
import { linkMergedUsr } from "./build/merged-usr.ts";
import { unpackDebian } from "./build/unpack-debian.ts";

const PACKAGE = "vhost-device-vsock";

/** The only suite that has it. Security updates of an unstable suite come with the suite itself. */
export const VSOCK_DEVICE_SUITE = "sid";

/**
 * A vsock device in a process of its own, which offers the host the same `CONNECT <port>` socket as Firecracker. Only
 * for proving the vsock transport: QEMU refuses to snapshot a machine that has it. Returns the command to run.
 */
export async function buildVsockDevice(options: BuildOptions): Promise<readonly [string, ...string[]]> {
  const { signal } = options;
  const { apt } = await readMachineSources(signal);
  const folder = await provideArtifact({
    parent: join(options.cacheDir, "vsock-device"),
    key: await contentKey({ values: [PACKAGE, VSOCK_DEVICE_SUITE, apt], paths: [] }),
    signal,
    onMissing: () =>
      options.onProgress?.(`vsock device: unpacking ${PACKAGE} from Debian ${VSOCK_DEVICE_SUITE}`),
    build: async ({ result }) => {
      const root = join(result, "root");
      await unpackDebian({
        root,
        suite: VSOCK_DEVICE_SUITE,
        components: ["main"],
        packages: [PACKAGE],
        apt: { ...apt, hasUpdatesSuite: false, securityUri: undefined },
        variant: "extract",
        signal,
      });
      await linkMergedUsr(root);
    },
  });
  const root = join(folder, "root");
  const libraries = join(root, "usr/lib/x86_64-linux-gnu");
  return [
    join(root, "usr/lib64/ld-linux-x86-64.so.2"),
    "--library-path",
    libraries,
    join(root, "usr/bin", PACKAGE),
  ];
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { cache: { type: "string" } } });
  if (values.cache === undefined) throw new Error("usage: build-vsock-device.ts --cache <folder>");
  const command = await buildVsockDevice({
    cacheDir: resolve(values.cache),
    onProgress: (line) => console.error(line),
  });
  console.log(JSON.stringify(command, undefined, 2));
}
