import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { KeyStore } from "./key-store.ts";
import { LocalKeyStore } from "./local-key-store.ts";
import { TransitKeyStore, type TransitKeyStoreOptions } from "./transit-key-store.ts";

export type KeyStoreChoice =
  | { kind: "local" }
  | ({ kind: "transit" } & Pick<TransitKeyStoreOptions, "url" | "mount" | "tokenFile">);

/**
 * The chosen store below `directory`. A host's workspaces have their keys in one store: with the other one their keys would
 * look as if they had been destroyed.
 * @throws Error when the directory belongs to the other kind
 */
export async function openKeyStore(directory: string, choice: KeyStoreChoice): Promise<KeyStore> {
  const transitDirectory = join(directory, "transit");
  const other = choice.kind === "local" ? transitDirectory : directory;
  if (await holdsKeys(other)) {
    const kind = choice.kind === "local" ? "a transit engine" : "files";
    throw new Error(
      `this host's keys lie in ${kind}; its key store cannot be changed while it has workspaces`,
    );
  }
  if (choice.kind === "local") return LocalKeyStore.open({ directory });
  const { url, mount, tokenFile } = choice;
  return TransitKeyStore.open({ directory: transitDirectory, url, mount, tokenFile });
}

async function holdsKeys(directory: string): Promise<boolean> {
  const names = await readdir(join(directory, "workspaces")).catch(() => []);
  return names.some((name) => /^[0-9a-f-]{36}\.json$/.test(name));
}
