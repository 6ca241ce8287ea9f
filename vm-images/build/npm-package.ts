import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { z } from "zod";
import { runCommand } from "./run-command.ts";

export const npmPackagePin = z.strictObject({
  name: z.string(),
  version: z.string(),
  integrity: z.string().startsWith("sha512-"),
});
export type NpmPackagePin = z.infer<typeof npmPackagePin>;

const packReply = z.array(z.object({ filename: z.string() })).length(1);

/** Fetches exactly the pinned package with the machine's npm and unpacks it into `target` (made here). */
export async function unpackNpmPackage(
  pin: NpmPackagePin,
  target: string,
  options: { scratch: string; signal?: AbortSignal | undefined },
): Promise<void> {
  const reply = await runCommand(
    [
      "npm",
      "pack",
      "--json",
      "--silent",
      "--pack-destination",
      options.scratch,
      `${pin.name}@${pin.version}`,
    ],
    { signal: options.signal, cwd: options.scratch },
  );
  const [packed] = packReply.parse(JSON.parse(reply));
  if (packed === undefined) throw new Error(`npm pack ${pin.name} named no file`);
  // npm 9 writes the scope's slash into the name it reports, but not into the file's name.
  const archive = join(options.scratch, packed.filename.replace(/^@/, "").replace("/", "-"));
  const hash = createHash("sha512");
  await pipeline(createReadStream(archive), hash);
  const integrity = `sha512-${hash.digest("base64")}`;
  if (integrity !== pin.integrity) {
    throw new Error(`${pin.name}@${pin.version} is not the pinned package: ${integrity}`);
  }
  await mkdir(target, { recursive: true });
  await runCommand(
    [
      "tar",
      "-xzf",
      archive,
      "-C",
      target,
      "--strip-components=1",
      "--no-same-owner",
      "--no-same-permissions",
    ],
    { signal: options.signal },
  );
}
