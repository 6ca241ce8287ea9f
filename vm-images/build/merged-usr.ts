import { symlink } from "node:fs/promises";
import { join } from "node:path";

/** Adds the links of a merged-usr system to packages that were unpacked only: the loader is found through them. */
export async function linkMergedUsr(root: string): Promise<void> {
  for (const name of ["bin", "lib", "lib64", "sbin"]) {
    await symlink(`usr/${name}`, join(root, name)).catch((error: NodeJS.ErrnoException) => {
      // Some packages bring the link themselves.
      if (error.code !== "EEXIST") throw error;
    });
  }
}
