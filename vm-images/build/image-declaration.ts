import { z } from "zod";
import { npmPackagePin } from "./npm-package.ts";

/** `vm-images/<name>/image.json`: what a guest image is made of. Unknown keys are refused. */
export const imageDeclaration = z.strictObject({
  name: z.string().regex(/^[a-z][a-z0-9-]*$/),
  description: z.string(),
  /** Any date: another one builds anew from the packages that the mirror has then. */
  updated: z.iso.date().optional(),
  suite: z.string(),
  components: z.array(z.string()).min(1),
  packages: z.array(z.string()),
  kernelPackage: z.string(),
  /** Module names, without path and ending; what they depend on is found by itself. */
  initramfsModules: z.array(z.string()),
  kernelArguments: z.array(z.string()),
  emulatedKernelArguments: z.array(z.string()),
  /** The user's own. */
  node: npmPackagePin,
  /** What the agent runs on. Node 22 compiles some of its own functions wrongly out of a startup snapshot. */
  agentNode: npmPackagePin,
  npm: npmPackagePin,
  /** Native packages of the agent; everything else is bundled into its one file. */
  agentPackages: z.array(npmPackagePin),
});
export type ImageDeclaration = z.infer<typeof imageDeclaration>;
