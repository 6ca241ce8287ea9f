import { chmod, constants, copyFile, open, rm } from "node:fs/promises";
import { dirname } from "node:path";
import { syncDirectory } from "@atoll/durable/sync-directory";

/**
 * A new empty layer from a seed that `createDisk` made, durable when this resolves: milliseconds instead of the seconds a
 * LUKS header takes. It has the seed's passphrase and master key, so it must stay with the seed's owner.
 * @param path must not exist
 */
export async function copySeed(seedPath: string, path: string): Promise<void> {
  await copyFile(seedPath, path, constants.COPYFILE_EXCL | constants.COPYFILE_FICLONE);
  try {
    // The seed may be read-only; who writes to the layer is given it at the start of a machine.
    await chmod(path, 0o600);
    await using file = await open(path, "r");
    await file.sync();
    await syncDirectory(dirname(path));
  } catch (error) {
    await rm(path, { force: true });
    throw error;
  }
}
