import { z } from "zod";

const imageFile = z.strictObject({
  file: z.string(),
  sizeBytes: z.int().nonnegative(),
  sha256: z.string().length(64),
});

/** `image.json` beside a finished base image. */
export const baseManifest = z.strictObject({
  format: z.literal(1),
  name: z.string(),
  key: z.string(),
  kernelRelease: z.string(),
  nodeVersion: z.string(),
  /** Kernel command line. Appended where wanted: `atoll.link=vsock`, `console=ttyS0`. */
  kernelArguments: z.array(z.string()),
  /** Added where the processor is emulated. */
  emulatedKernelArguments: z.array(z.string()),
  /** Hosts that the image's own apt, npm and pip configuration names: the preset "package sources". */
  packageSources: z.array(z.string()),
  base: imageFile,
  kernel: imageFile,
  /** The same kernel, not packed. */
  emulatedKernel: imageFile,
  initramfs: imageFile,
});
export type BaseManifest = z.infer<typeof baseManifest>;

/** A bootable image: one base and one agent. Paths are absolute. */
export interface GuestImage {
  name: string;
  /** Changes when base or agent change: a template snapshot belongs to exactly one. */
  key: string;
  basePath: string;
  agentPath: string;
  kernelPath: string;
  /** Started in place of the other where the processor is emulated. */
  emulatedKernelPath: string;
  initramfsPath: string;
  manifest: BaseManifest;
}
