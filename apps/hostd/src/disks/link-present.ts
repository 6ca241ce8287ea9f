import { fileOps } from "@atoll/durable/file-ops";

/** Another name for the file, durable with the sync of its directory. @param gone what is thrown when it is not there */
export async function linkPresent(from: string, to: string, gone: (cause: unknown) => Error): Promise<void> {
  try {
    await fileOps().link(from, to);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "ENOENT") throw cause;
    throw gone(cause);
  }
}
