/**
 * What lies on the host's disk about a workspace: an attacker's view, with hostd's files in hand. That no other key which
 * is left opens anything is proven in apps/hostd/src/proof/erasure.vm.test.ts.
 */
import { execFile } from "node:child_process";
import { mkdtemp, readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { deriveKey } from "@atoll/keys/derive-key";
import { LocalKeyStore } from "@atoll/keys/local-key-store";
import { unwrapKey } from "@atoll/keys/wrap-key";
import { z } from "zod";
import type { RunningStack } from "./running-stack.ts";
import { unlessGone } from "./unless-gone.ts";

const journalRecord = z.object({
  workspaceId: z.string(),
  ownerId: z.string(),
  slug: z.string(),
  state: z.string(),
  keyCommitment: z.string().nullable(),
  disk: z.object({ diskId: z.string() }).nullable(),
  snapshot: z.object({ sizeBytes: z.number() }).nullable(),
  machine: z.object({ pid: z.number() }).nullable(),
});
const diskLayer = z.object({ layerId: z.string(), key: z.string() });
const diskRecord = z.object({ layers: z.array(diskLayer) });
export type StoredWorkspace = z.infer<typeof journalRecord>;

/** hostd's journal entry. Undefined when there is none of that slug. */
export async function storedWorkspace(
  stack: RunningStack,
  slug: string,
): Promise<StoredWorkspace | undefined> {
  const directory = join(stack.dataDirectory, "journal");
  for (const name of await readdir(directory, { recursive: true })) {
    if (!name.endsWith(".json")) continue;
    const bytes = await unlessGone(readFile(join(directory, name)), undefined);
    if (bytes === undefined) continue;
    const parsed = journalRecord.safeParse(JSON.parse(bytes.toString()));
    if (parsed.success && parsed.data.slug === slug) return parsed.data;
  }
  return undefined;
}

/** Its record, layers, snapshots and checkpoints. */
export function diskDirectory(stack: RunningStack, diskId: string): string {
  return join(stack.dataDirectory, "workspaces", diskId);
}

/** The layer that holds what was written first, in a disk's directory or in a copy of one. */
async function firstLayer(directory: string): Promise<z.infer<typeof diskLayer> & { path: string }> {
  const record = diskRecord.parse(JSON.parse(await readFile(join(directory, "disk.json"), "utf8")));
  const [layer] = record.layers;
  if (layer === undefined) throw new Error("a disk without layers");
  return { ...layer, path: join(directory, "layers", `${layer.layerId}.qcow2`) };
}

/** The code of the refusal, or undefined when the key store still gives the workspace's key. */
export async function keyRefusal(
  stack: RunningStack,
  workspace: StoredWorkspace,
): Promise<string | undefined> {
  try {
    (await workspaceKey(stack, workspace)).fill(0);
    return undefined;
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : "unknown";
  }
}

/** Opens a copy of the disk's directory with what the key store of the machine gives. */
export async function opensWithStoredKey(
  stack: RunningStack,
  workspace: StoredWorkspace,
  directory: string,
): Promise<boolean> {
  const { layerId, key: wrapped, path } = await firstLayer(directory);
  const key = await workspaceKey(stack, workspace).catch(() => undefined);
  if (key === undefined) return false;
  const context = `atoll layer key 1 ${workspace.disk?.diskId} ${layerId}`;
  return await opens(stack, path, unwrapKey(deriveKey(key, "layer-wrap"), wrapped, context));
}

async function workspaceKey(stack: RunningStack, workspace: StoredWorkspace): Promise<Uint8Array> {
  const keys = await LocalKeyStore.open({ directory: join(stack.dataDirectory, "keys") });
  return keys.unwrapWorkspaceKey(workspace);
}

const BACKING_BYTES = 2 * 1024 ** 3;

const vmm = z.object({ qemuImgCommand: z.array(z.string()).min(1) });

async function opens(stack: RunningStack, imagePath: string, key: Uint8Array): Promise<boolean> {
  const directory = await mkdtemp(join(tmpdir(), "atoll-open-"));
  try {
    const secretPath = join(directory, "secret");
    await writeFile(secretPath, Buffer.from(key).toString("hex"), { mode: 0o600 });
    const built = vmm.parse(
      JSON.parse(await readFile(join(stack.cacheDirectory, "current/vmm.json"), "utf8")),
    );
    const [program, ...prefix] = built.qemuImgCommand as [string, ...string[]];
    // The template below it holds nothing of anyone's: zeros do.
    const backingPath = join(directory, "backing");
    await writeFile(backingPath, "");
    await truncate(backingPath, BACKING_BYTES);
    const image = [
      `driver=qcow2,file.driver=file,file.filename=${imagePath},encrypt.format=luks,encrypt.key-secret=key`,
      `backing.driver=raw,backing.file.driver=file,backing.file.filename=${backingPath}`,
    ].join(",");
    // A read of the first cluster needs the key; the header alone would not.
    await promisify(execFile)(program, [
      ...prefix,
      ...["dd", "--object", `secret,id=key,file=${secretPath},format=raw`],
      ...["--image-opts", "-O", "raw", "bs=65536", "count=1", `if=${image}`, `of=${join(directory, "out")}`],
    ]);
    return true;
  } catch {
    return false;
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
