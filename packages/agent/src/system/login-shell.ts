import { constants } from "node:fs";
import { access } from "node:fs/promises";

/** The account's shell, or one that exists: a terminal is how a broken account gets mended. */
export async function loginShell(wanted: string): Promise<string> {
  for (const shell of [wanted, "/bin/bash", "/bin/sh"]) {
    if (!shell.startsWith("/")) continue;
    const isThere = await access(shell, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return shell;
  }
  return "/run/atoll/base/bin/bash";
}
