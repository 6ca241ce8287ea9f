import { AtollError } from "@atoll/protocol/atoll-error";
import type { ErrorCode } from "@atoll/protocol/errors";
import { errnoOf } from "../system/has-errno.ts";

const CODES: Record<string, ErrorCode> = {
  EACCES: "file.denied",
  EBUSY: "file.denied",
  EDQUOT: "file.no_space",
  EEXIST: "file.exists",
  EFBIG: "file.too_large",
  EISDIR: "file.is_directory",
  ELOOP: "file.not_found",
  EMLINK: "file.denied",
  ENAMETOOLONG: "file.name_invalid",
  ENODEV: "file.not_regular",
  ENOENT: "file.not_found",
  ENOSPC: "file.no_space",
  ENOTDIR: "file.not_directory",
  ENOTEMPTY: "file.not_empty",
  ENXIO: "file.not_regular",
  EPERM: "file.denied",
  EROFS: "file.denied",
  ETXTBSY: "file.denied",
  // Between file systems nothing is moved: a copy is another operation with another cost.
  EXDEV: "file.denied",
};

/** What a failed system call on a file means to the caller. Other faults stay what they are. */
export function fileFault(cause: unknown): unknown {
  const errno = errnoOf(cause);
  const code = errno === undefined ? undefined : CODES[errno];
  return code === undefined
    ? cause
    : new AtollError(code, errno, { cause, details: { errno: errno as string } });
}

/** Runs an operation on files and gives its system call errors their codes. */
export async function withFileFaults<T>(run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (cause) {
    throw fileFault(cause);
  }
}
