import { fileOps } from "./file-ops.ts";

/** Makes the bytes of a file durable that another program wrote, such as a copying tool. Its name is not: sync its directory. */
export async function syncFile(path: string): Promise<void> {
  await using file = await fileOps().open(path);
  await file.sync();
}
