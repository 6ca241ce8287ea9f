import { mkdtemp, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { createFile } from "../create-file.ts";
import { linkFile } from "../link-file.ts";
import { makeDirectory } from "../make-directory.ts";
import { moveFile } from "../move-file.ts";
import { removeDurably } from "../remove-durably.ts";
import { replaceFile } from "../replace-file.ts";
import { syncDirectory } from "../sync-directory.ts";
import { syncFile } from "../sync-file.ts";
import { wipeFile } from "../wipe-file.ts";
import { everyCrash } from "./every-crash.ts";
import type { Operation } from "./recording-file-ops.ts";

async function place() {
  const path = await mkdtemp(join(tmpdir(), "atoll-durable-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

/** Undefined when it is not there. */
async function text(path: string): Promise<string | undefined> {
  return readFile(path, "utf8").catch(() => undefined);
}

const [OLD, NEW] = ["old ".repeat(50), "new ".repeat(80)];

async function replaceOld(directory: string, omit?: (operation: Operation) => boolean) {
  const file = join(directory, "file");
  await writeFile(file, OLD);
  return everyCrash({
    directory,
    ...(omit ? { omit } : {}),
    run: async (recorder) => {
      await replaceFile(file, NEW);
      recorder.acknowledge("replaced");
    },
    check: async (crashed, { acknowledged }) => {
      const found = await text(join(crashed, "file"));
      expect(acknowledged.length > 0 ? [NEW] : [OLD, NEW]).toContain(found);
    },
  });
}

describe("a replaced file", () => {
  test("is old or new after every crash, and new once that was promised", async () => {
    await using directory = await place();
    expect((await replaceOld(directory.path)).stateCount).toBeGreaterThan(5);
  });

  // The harness must be able to fail: each step that a careless version leaves out is noticed.
  test.each([
    ["the sync of its bytes", "syncFile"],
    ["the sync of its directory", "syncDirectory"],
  ])("without %s is noticed", async (_, kind) => {
    await using directory = await place();
    await expect(replaceOld(directory.path, (operation) => operation.kind === kind)).rejects.toThrow("crash");
  });

  test("written in place is noticed", async () => {
    await using directory = await place();
    const file = join(directory.path, "file");
    await writeFile(file, OLD);
    const run = everyCrash({
      directory: directory.path,
      run: async () => {
        await removeDurably(file);
        await using fresh = await createFile(file);
        await fresh.write(Buffer.from(NEW));
        await fresh.sync();
      },
      check: async (crashed) => expect([OLD, NEW]).toContain(await text(join(crashed, "file"))),
    });
    await expect(run).rejects.toThrow("crash");
  });
});

test("what goes past the recorder is noticed", async () => {
  await using directory = await place();
  const run = everyCrash({
    directory: directory.path,
    run: async () => {
      await replaceFile(join(directory.path, "file"), NEW);
      await rename(join(directory.path, "file"), join(directory.path, "other"));
    },
    check: async () => {},
  });
  await expect(run).rejects.toThrow("past the recorder");
});

test("a moved file is at one of both places, whole", async () => {
  await using directory = await place();
  await replaceFile(join(directory.path, "file"), OLD);
  await everyCrash({
    directory: directory.path,
    run: async (recorder) => {
      await makeDirectory(join(directory.path, "deep/er"));
      await moveFile(join(directory.path, "file"), join(directory.path, "deep/er/file"));
      recorder.acknowledge("moved");
    },
    check: async (crashed, { acknowledged }) => {
      const places = await Promise.all([text(join(crashed, "file")), text(join(crashed, "deep/er/file"))]);
      expect(places).toContain(OLD);
      if (acknowledged.length > 0) expect(places).toEqual([undefined, OLD]);
    },
  });
});

test("a linked file stays under its first name, and a repeated link is no fault", async () => {
  await using directory = await place();
  await replaceFile(join(directory.path, "file"), OLD);
  await replaceFile(join(directory.path, "stranger"), OLD);
  await everyCrash({
    directory: directory.path,
    run: async (recorder) => {
      for (const round of ["first", "again"]) {
        await linkFile(join(directory.path, "file"), join(directory.path, "second"));
        recorder.acknowledge(round);
      }
    },
    check: async (crashed, { acknowledged }) => {
      expect(await text(join(crashed, "file"))).toBe(OLD);
      if (acknowledged.length > 0) expect(await text(join(crashed, "second"))).toBe(OLD);
    },
  });
  await expect(
    linkFile(join(directory.path, "stranger"), join(directory.path, "second")),
  ).rejects.toMatchObject({ code: "EEXIST" });
});

test("a wiped file leaves none of its bytes once that was promised, and can be wiped again", async () => {
  await using directory = await place();
  await replaceFile(join(directory.path, "secret"), OLD);
  await everyCrash({
    directory: directory.path,
    run: async (recorder) => {
      await wipeFile(join(directory.path, "secret"));
      recorder.acknowledge("wiped");
      await wipeFile(join(directory.path, "secret"));
    },
    check: async (crashed, { acknowledged }) => {
      if (acknowledged.length > 0) expect(await readdir(crashed)).toEqual([]);
    },
  });
});

test("the bytes that another program wrote are durable once they were synced", async () => {
  await using directory = await place();
  const file = join(directory.path, "copied");
  await writeFile(file, "");
  const run = (isSynced: boolean) =>
    everyCrash({
      directory: directory.path,
      run: async (recorder) => {
        await writeFile(file, NEW);
        if (isSynced) await syncFile(file);
        recorder.acknowledge("copied");
      },
      check: async (crashed, { acknowledged }) => {
        if (acknowledged.length > 0) expect(await text(join(crashed, "copied"))).toBe(NEW);
      },
    });
  await run(true);
  await writeFile(file, "");
  await expect(run(false)).rejects.toThrow();
});

test("a file that another program made is there once it and its directory were synced", async () => {
  await using directory = await place();
  const run = (name: string, steps: { isSynced: boolean; isNamed: boolean }) =>
    everyCrash({
      directory: directory.path,
      run: async (recorder) => {
        await writeFile(join(directory.path, name), NEW);
        if (steps.isSynced) await syncFile(join(directory.path, name));
        if (steps.isNamed) await syncDirectory(directory.path);
        recorder.acknowledge("made");
      },
      check: async (crashed, { acknowledged }) => {
        if (acknowledged.length > 0) expect(await text(join(crashed, name))).toBe(NEW);
      },
    });
  await run("one", { isSynced: true, isNamed: true });
  await expect(run("two", { isSynced: true, isNamed: false })).rejects.toThrow("crash");
  await expect(run("three", { isSynced: false, isNamed: true })).rejects.toThrow();
});

test("what a program with a crash safety of its own wrote is old or new", async () => {
  await using directory = await place();
  const file = join(directory.path, "database");
  await writeFile(file, OLD);
  const { stateCount } = await everyCrash({
    directory: directory.path,
    run: async (recorder) => {
      await writeFile(file, NEW);
      await recorder.wrote(file);
      recorder.acknowledge("wrote");
    },
    check: async (crashed, { acknowledged }) => {
      const found = await text(join(crashed, "database"));
      expect(acknowledged.length > 0 ? [NEW] : [OLD, NEW]).toContain(found);
    },
  });
  expect(stateCount).toBe(3);
});

test("a directory is gone for good, and another one untouched", async () => {
  await using directory = await place();
  for (const name of ["one", "two"]) {
    await makeDirectory(join(directory.path, name));
    for (const file of ["a", "b", "c"]) await replaceFile(join(directory.path, name, file), OLD);
  }
  await everyCrash({
    directory: directory.path,
    run: async (recorder) => {
      await removeDurably(join(directory.path, "one"));
      recorder.acknowledge("removed");
    },
    check: async (crashed, { acknowledged }) => {
      expect(await readdir(join(crashed, "two"))).toEqual(["a", "b", "c"]);
      if (acknowledged.length > 0) expect(await readdir(crashed)).toEqual(["two"]);
    },
  });
});
