import { createPrivateKey, createPublicKey } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { everyCrash } from "@atoll/durable/testing/every-crash";
import type { Operation } from "@atoll/durable/testing/recording-file-ops";
import { expect, test } from "vitest";
import { provideSecrets, type Secrets } from "./secrets.ts";

/** What the files of it hold, so that two places can be compared. */
async function contentOf(secrets: Secrets): Promise<Record<string, string>> {
  const entries = Object.entries(secrets).map(async ([name, value]): Promise<[string, string]> => {
    const isFile = name.endsWith("File");
    return [isFile ? basename(value) : name, isFile ? await readFile(value, "utf8") : value];
  });
  return Object.fromEntries(await Promise.all(entries));
}

async function firstStart(omit?: (operation: Operation) => boolean): Promise<number> {
  const directory = await mkdtemp(join(tmpdir(), "atoll-secrets-"));
  try {
    let told: Record<string, string> = {};
    const { stateCount } = await everyCrash({
      directory,
      ...(omit ? { omit } : {}),
      run: async (recorder) => {
        told = await contentOf(await provideSecrets(join(directory, "secrets")));
        recorder.acknowledge("provided");
      },
      check: async (crashed, { acknowledged }) => {
        const secrets = await provideSecrets(join(crashed, "secrets"));
        const found = await contentOf(secrets);
        // The database may have been given its password by then.
        if (acknowledged.length > 0) expect(found).toEqual(told);
        for (const name of ["receipt", "ticket"]) {
          const derived = createPublicKey(createPrivateKey(found[`${name}-private.pem`] ?? ""));
          expect(derived.equals(createPublicKey(found[`${name}-public.pem`] ?? ""))).toBe(true);
        }
        for (const value of Object.values(found)) expect(value).not.toMatch(/^\0*$/);
        const left = await readdir(join(crashed, "secrets"));
        expect(left.filter((name) => name.endsWith(".tmp"))).toEqual([]);
      },
    });
    return stateCount;
  } finally {
    await rm(directory, { recursive: true });
  }
}

test("secrets that were used are the same after every crash, and pairs always belong together", async () => {
  expect(await firstStart()).toBeGreaterThan(20);
});

test.each(["syncFile", "syncDirectory"])("without %s a crash is noticed", async (kind) => {
  await expect(firstStart((operation) => operation.kind === kind)).rejects.toThrow("crash");
});
