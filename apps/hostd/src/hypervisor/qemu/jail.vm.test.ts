import { randomBytes, randomUUID } from "node:crypto";
import { chown, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { runTool } from "../../disks/run-tool.ts";
import type { EncryptedDisk } from "../hypervisor.ts";
import { jailCommand } from "./jail.ts";
import { claimDisk, layerFileName } from "./layer-files.ts";
import { CHAIN_FILES } from "./qemu-arguments.ts";

const UID = 231_999;

/** A jail as a machine's, with this machine's own programs in QEMU's place. */
async function place() {
  const directory = await mkdtemp(join(tmpdir(), "atoll-jail-"));
  const disk = async (): Promise<EncryptedDisk> => {
    const path = join(directory, randomUUID());
    await mkdir(path, { mode: 0o700 });
    const layers = [randomUUID(), randomUUID()].map((layerId) => ({ layerId, key: randomBytes(32) }));
    for (const { layerId } of layers) await writeFile(join(path, layerFileName(layerId)), "content");
    return { kind: "encrypted", directory: path, layers, backingPath: join(directory, "backing") };
  };
  await writeFile(join(directory, "backing"), "");
  const [own, other] = [await disk(), await disk()];
  await claimDisk(own, UID);
  await claimDisk(other, UID + 1);
  const runDirectory = join(directory, "run");
  await mkdir(runDirectory, { mode: 0o700 });
  await chown(runDirectory, UID, UID);
  const pathOf = (of: EncryptedDisk, index: number) =>
    join(of.directory, layerFileName(of.layers[index]?.layerId ?? ""));
  return {
    own,
    other,
    pathOf,
    /** Exit status 0 of a shell in the jail, where $bottom and $top are its layers. */
    async can(script: string): Promise<boolean> {
      const inJail = (index: number) =>
        `/files/${CHAIN_FILES.d.layers}/${layerFileName(own.layers[index]?.layerId ?? "")}`;
      const prelude = `dir=/files/${CHAIN_FILES.d.layers}; bottom=${inJail(0)}; top=${inJail(1)};`;
      const command = jailCommand({
        vmmRoot: "",
        runDirectory,
        files: [{ source: own.directory, name: CHAIN_FILES.d.layers, isWritable: true }],
        uid: UID,
        kvmGroup: undefined,
        command: ["/usr/bin/sh", "-c", `${prelude} ${script}`],
      });
      // The status pipe is of no interest here, but it has to be there.
      const wrapped = ["sh", "-c", 'exec "$@" 3>/dev/null', "jail", ...command];
      return runTool(wrapped).then(
        () => true,
        () => false,
      );
    },
    [Symbol.asyncDispose]: () => rm(directory, { recursive: true }),
  };
}

test("a machine's uid reads its layers and writes the top, and can do nothing else to its disk's directory", async () => {
  await using at = await place();
  expect(await at.can('[ "$(cat "$bottom")" = content ] && [ "$(id -u)" = 231999 ]')).toBe(true);
  expect(await at.can('echo more >>"$top"')).toBe(true);
  expect(await readFile(at.pathOf(at.own, 1), "utf8")).toBe("contentmore\n");
  for (const script of [
    'echo more >>"$bottom"',
    'chmod 0666 "$bottom"',
    'rm -f "$bottom"',
    'rm -f "$top"',
    'mv "$top" "$dir/other"',
    'ln "$top" "$dir/other"',
    'echo new >"$dir/other"',
    'mkdir "$dir/other"',
    'chmod 0777 "$dir"',
    'ls "$dir"',
    "mount -o remount,rw /files",
  ]) {
    expect([script, await at.can(script)]).toEqual([script, false]);
  }
  expect(await readdir(at.own.directory)).toHaveLength(2);
  expect(await readFile(at.pathOf(at.own, 0), "utf8")).toBe("content");
  expect((await stat(at.pathOf(at.own, 0))).mode & 0o777).toBe(0o444);
});

test("a machine sees its own disk's directory and no other, on any path", async () => {
  await using at = await place();
  expect(await at.can(`ls "${at.own.directory}"`)).toBe(false);
  for (const path of [
    at.other.directory,
    at.pathOf(at.other, 0),
    "/run/staged",
    "/proc/1/root/home",
    "/tmp",
  ]) {
    expect([path, await at.can(`ls "${path}"`)]).toEqual([path, false]);
  }
  const entries = 'find / -xdev -name "*.qcow2" 2>/dev/null; find /files -name "*.qcow2" 2>/dev/null';
  expect(await at.can(`[ -z "$(${entries})" ]`)).toBe(true);
});
