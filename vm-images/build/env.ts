import { join } from "node:path";

/** The machine's own settings, read in one place; programs started by a build get all of them. */
export const machineEnvironment: Readonly<Record<string, string | undefined>> = process.env;

/** Files that name certificate authorities this machine trusts besides the public ones. */
export const certificateFiles: readonly string[] = [
  process.env.NODE_EXTRA_CA_CERTS,
  process.env.SSL_CERT_FILE,
  process.env.PIP_CERT,
].filter((path): path is string => path !== undefined && path !== "");

/** Where tests find what was built, and put what was not. */
export const cacheDirectory: string =
  process.env.ATOLL_CACHE ??
  join(process.env.ATOLL_DATA ?? join(import.meta.dirname, "../../.data"), "cache");
