import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runCommand } from "./run-command.ts";

/**
 * The process that evaluated `script` (CommonJS), as a file that the same Node starts from with `--snapshot-blob`.
 * Without a code cache: one fits only processors with the features of this one, and reading it costs more than it saves.
 * Node 22 then compiles functions of its own in a wrong scope: error codes are garbage, and after a collection no file
 * handle closes. Node 24 does not.
 */
export async function takeSnapshot(
  node: string,
  script: string,
  output: string,
  { scratch, signal }: { scratch: string; signal?: AbortSignal | undefined },
): Promise<void> {
  const builder = join(scratch, "main.cjs");
  await writeFile(builder, script);
  const configuration = join(scratch, "snapshot.json");
  await writeFile(configuration, JSON.stringify({ builder, withoutCodeCache: true }));
  await runCommand(
    [
      node,
      // Which of Node's own modules may be in a snapshot is tried out by the tests on machines.
      "--no-warnings",
      ...["--snapshot-blob", output],
      ...["--build-snapshot-config", configuration],
    ],
    { signal },
  );
}
