import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { confined } from "./confined.ts";
import { debianSources } from "./guest-configuration.ts";
import type { MachineSources } from "./machine-sources.ts";
import { type CommandOptions, runCommand } from "./run-command.ts";

export interface DebianTree extends Pick<CommandOptions, "signal" | "env" | "onLine"> {
  /** Made here. */
  root: string;
  suite: string;
  components: readonly string[];
  packages: readonly string[];
  apt: MachineSources["apt"];
  /** `extract` only unpacks the packages; `minbase` installs them over a minimal system. */
  variant: "extract" | "minbase";
  /** More options of mmdebstrap. */
  options?: readonly string[];
}

/** Debian packages as files below `root`. mmdebstrap mounts /proc, /sys and parts of /dev there while it works. */
export async function unpackDebian(tree: DebianTree): Promise<void> {
  const { root, suite, apt, signal, env, onLine } = tree;
  // Private to us: `apt.fetchOptions` may hold passwords. mmdebstrap's own apt reads them, the tree never holds them.
  const ways = await mkdtemp(join(tmpdir(), "atoll-apt-"));
  try {
    const waysFile = join(ways, "fetch.conf");
    await writeFile(waysFile, (apt.fetchOptions ?? []).map((line) => `${line}\n`).join(""), { mode: 0o600 });
    const command = confined([
      "mmdebstrap",
      "--mode=root",
      `--variant=${tree.variant}`,
      `--include=${tree.packages.join(",")}`,
      ...(tree.options ?? []),
      ...apt.options.map((option) => `--aptopt=${option}`),
      '--setup-hook=cat "$ATOLL_APT_WAYS" >>"$MMDEBSTRAP_APT_CONFIG"',
      suite,
      root,
      ...debianSources(suite, tree.components, apt),
    ]);
    await runCommand(command, { signal, env: { ...env, ATOLL_APT_WAYS: waysFile }, onLine });
  } finally {
    await rm(ways, { recursive: true });
  }
}
