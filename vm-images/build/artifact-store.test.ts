import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { provideArtifact } from "./artifact-store.ts";

let parent: string;
beforeEach(async () => {
  parent = await mkdtemp(join(tmpdir(), "atoll-artifact-"));
});
afterEach(() => rm(parent, { recursive: true, force: true }));

const write = async ({ result }: { result: string }) => writeFile(join(result, "file"), "done");

test("builds once however many ask at the same time", async () => {
  let builds = 0;
  const ask = () =>
    provideArtifact({
      parent,
      key: "k",
      build: async (folders) => {
        builds++;
        await write(folders);
      },
    });
  const paths = await Promise.all([ask(), ask(), ask()]);
  expect(new Set(paths)).toEqual(new Set([join(parent, "k")]));
  expect(builds).toBe(1);
  expect(await readFile(join(parent, "k/file"), "utf8")).toBe("done");
});

test("leaves nothing of a failed build and lets the next one succeed", async () => {
  const failing = provideArtifact({
    parent,
    key: "k",
    build: async ({ result }) => {
      await writeFile(join(result, "half"), "");
      throw new Error("no space");
    },
  });
  await expect(failing).rejects.toThrow("no space");
  expect((await readdir(parent)).filter((name) => !name.endsWith(".lock"))).toEqual([]);
  await provideArtifact({ parent, key: "k", build: write });
  expect(await readdir(join(parent, "k"))).toEqual(["file"]);
});

test("removes what a killed build left behind", async () => {
  await mkdir(join(parent, ".k.staging/result"), { recursive: true });
  await writeFile(join(parent, ".k.staging/result/half"), "");
  await provideArtifact({ parent, key: "k", build: write });
  expect(await readdir(join(parent, "k"))).toEqual(["file"]);
  expect((await readdir(parent)).sort()).toEqual([".k.lock", "k"]);
});

test("gives up waiting for another build when aborted", async () => {
  const { promise: started, resolve: onStarted } = Promise.withResolvers<void>();
  const { promise: hold, resolve: letGo } = Promise.withResolvers<void>();
  const first = provideArtifact({
    parent,
    key: "k",
    build: async (folders) => {
      onStarted();
      await hold;
      await write(folders);
    },
  });
  await started;
  const abort = new AbortController();
  const second = provideArtifact({ parent, key: "k", build: write, signal: abort.signal });
  abort.abort(new Error("enough"));
  await expect(second).rejects.toThrow("enough");
  letGo();
  await first;
});
