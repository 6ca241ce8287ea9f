/** Baking and sharing templates: after a power cut at any moment there is a whole template or none. */
import { createHash } from "node:crypto";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { everyCrash } from "@atoll/durable/testing/every-crash";
import type { Operation } from "@atoll/durable/testing/recording-file-ops";
import { expect, test } from "vitest";
import { FakeHypervisor } from "../hypervisor/fake/fake-hypervisor.ts";
import { removeUnusedTemplates } from "./remove-unused-templates.ts";
import { TemplateStore } from "./template-store.ts";

const IMAGE = { key: "image", kernelPath: "", initramfsPath: "", layerPaths: [], kernelArguments: "" };
const SIZE = { cpus: 1, memoryMb: 512, diskMb: 2 };

function storeIn(root: string): TemplateStore {
  return new TemplateStore({
    directory: join(root, "own"),
    sharedDirectory: join(root, "shared"),
    hypervisor: new FakeHypervisor(),
    prepareGuest: async (machine) => {
      await machine.start();
      return { linkToken: "ab".repeat(32) };
    },
    signal: new AbortController().signal,
  });
}

/** Names and contents of a template's files; undefined when there is none. */
async function printOf(directory: string): Promise<Record<string, string> | undefined> {
  const names = await readdir(directory).catch(() => undefined);
  if (names === undefined) return undefined;
  const prints = names.sort().map(async (name): Promise<[string, string]> => {
    const bytes = await readFile(join(directory, name));
    return [name, createHash("sha256").update(bytes).digest("hex")];
  });
  return Object.fromEntries(await Promise.all(prints));
}

async function inDirectory<T>(work: (directory: string) => Promise<T>): Promise<T> {
  const directory = await mkdtemp(join(tmpdir(), "atoll-templates-"));
  try {
    return await work(directory);
  } finally {
    await rm(directory, { recursive: true });
  }
}

/** A life bakes, or links what another data directory baked; the next one finds what was promised. */
function provide(place: "own" | "shared", omit?: (operation: Operation) => boolean): Promise<number> {
  return inDirectory(async (directory) => {
    if (place === "shared") {
      await storeIn(directory).provide(IMAGE, SIZE);
      await rm(join(directory, "own"), { recursive: true });
    }
    let templateId = "";
    const { stateCount } = await everyCrash({
      directory,
      ...(omit ? { omit } : {}),
      run: async (recorder) => {
        const store = storeIn(directory);
        await store.sweep();
        ({ templateId } = await store.provide(IMAGE, SIZE));
        recorder.acknowledge("provided");
      },
      check: async (crashed, { acknowledged }) => {
        const store = storeIn(crashed);
        await store.sweep();
        const expected = await printOf(join(directory, "own", templateId));
        expect(Object.keys(expected ?? {})).toEqual(["disk.raw", "manifest.json", "ram", "state"]);
        const isThere = (await store.find(templateId)) !== undefined;
        if (acknowledged.length > 0) expect(isThere).toBe(true);
        if (isThere) expect(await printOf(join(crashed, "own", templateId))).toEqual(expected);
        // Nothing half-made stays in the way of making it again.
        expect(await readdir(join(crashed, "own"))).toEqual(isThere ? [templateId] : []);
      },
    });
    return stateCount;
  });
}

test.each(["own", "shared"] as const)(
  "a template from %s is whole or absent after every crash",
  async (place) => {
    expect(await provide(place)).toBeGreaterThan(8);
  },
);

test.each(["syncFile", "syncDirectory"])("a bake without %s is noticed", async (kind) => {
  await expect(provide("own", (operation) => operation.kind === kind)).rejects.toThrow("crash");
});

/** One that no disk stands on is removed; the next life finds all of it or nothing. */
function remove(omit?: (operation: Operation) => boolean): Promise<number> {
  return inDirectory(async (directory) => {
    const { templateId } = await storeIn(directory).provide(IMAGE, SIZE);
    const whole = await printOf(join(directory, "own", templateId));
    await mkdir(join(directory, "workspaces"));
    const { stateCount } = await everyCrash({
      directory,
      ...(omit ? { omit } : {}),
      run: async (recorder) => {
        const templatesPath = join(directory, "own");
        const workspacesPath = join(directory, "workspaces");
        await removeUnusedTemplates({ templatesPath, workspacesPath, isCurrent: () => false });
        recorder.acknowledge("removed");
      },
      check: async (crashed, { acknowledged }) => {
        const store = storeIn(crashed);
        await store.sweep();
        const isThere = (await store.find(templateId)) !== undefined;
        if (isThere) expect(await printOf(join(crashed, "own", templateId))).toEqual(whole);
        expect(await readdir(join(crashed, "own"))).toEqual(isThere ? [templateId] : []);
        if (acknowledged.length > 0) expect(isThere).toBe(false);
      },
    });
    return stateCount;
  });
}

test("a template that is removed is whole or absent after every crash", async () => {
  expect(await remove()).toBeGreaterThan(2);
});

test("a removal without its sync is noticed", async () => {
  await expect(remove((operation) => operation.kind === "syncDirectory")).rejects.toThrow("crash");
});
