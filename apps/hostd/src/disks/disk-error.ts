import { AtollError } from "@atoll/protocol/atoll-error";

/** Names what the host's own disk refused; anything else stays what it was. */
export function diskError(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { code } = error as NodeJS.ErrnoException;
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new AtollError("host.disk_full", undefined, { cause: error });
  }
  if (code === "EIO" || code === "EROFS") {
    return new AtollError("host.disk_failed", undefined, { cause: error });
  }
  return error;
}
