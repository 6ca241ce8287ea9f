import { ManualClock } from "@atoll/base/manual-clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { FileEntry } from "@atoll/protocol/messages/files";
import { describe, expect, it } from "vitest";
import { FileTreeModel } from "./file-tree-model.ts";
import type { FolderListener } from "./folder-watch.ts";
import { handleTreeKey } from "./tree-keyboard.ts";

const settled = async () => {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

/** Folders end with a slash. */
class FakeFiles {
  readonly folders = new Map<string, string[]>();
  lists: string[] = [];
  error: AtollError | undefined;

  #entry(name: string): FileEntry {
    const kind = name.endsWith("/") ? "directory" : "file";
    return { name: name.replace("/", ""), kind, sizeBytes: 0, modifiedAtMs: 0, mode: 0o644, version: "1" };
  }

  list = async (path: string) => {
    this.lists.push(path);
    if (this.error) throw this.error;
    const names = this.folders.get(path);
    if (!names) throw new AtollError("file.not_found");
    return { entries: names.map((name) => this.#entry(name)), isTruncated: false };
  };
  create = async (path: string, kind: "file" | "directory") => {
    const at = path.lastIndexOf("/");
    const names = this.folders.get(path.slice(0, at)) ?? [];
    const name = path.slice(at + 1);
    if (names.includes(name)) throw new AtollError("file.exists");
    names.push(kind === "directory" ? `${name}/` : name);
    return this.#entry(name);
  };
  rename = async (from: string, to: string) => {
    const [folder, before] = [from.slice(0, from.lastIndexOf("/")), from.slice(from.lastIndexOf("/") + 1)];
    const after = to.slice(to.lastIndexOf("/") + 1);
    const names = this.folders.get(folder) ?? [];
    this.folders.set(
      folder,
      names.map((name) => (name === before ? after : name)),
    );
    return this.#entry(after);
  };
  delete = async (path: string) => {
    const [folder, gone] = [path.slice(0, path.lastIndexOf("/")), path.slice(path.lastIndexOf("/") + 1)];
    const names = this.folders.get(folder) ?? [];
    this.folders.set(
      folder,
      names.filter((name) => name.replace("/", "") !== gone),
    );
  };
}

async function setup() {
  const files = new FakeFiles();
  files.folders.set("/workspace", ["b10.txt", "B2.txt", "src/"]);
  files.folders.set("/workspace/src", ["main.ts", "lib/"]);
  files.folders.set("/workspace/src/lib", ["deep.ts"]);
  const clock = new ManualClock();
  const watched = new Set<string>();
  let listener: FolderListener = () => {};
  const tree = new FileTreeModel({
    root: "/workspace",
    files,
    clock,
    watch: {
      add: (folder) => void watched.add(folder),
      remove: (folder) => void watched.delete(folder),
      onDidChange: (listen) => {
        listener = listen;
        return () => {};
      },
    },
  });
  await settled();
  const shown = () =>
    tree.state
      .get()
      .rows.map(({ name, depth, isExpanded }) => `${"  ".repeat(depth)}${name}${isExpanded ? "/" : ""}`);
  const change = (path: string | undefined) => listener({ path });
  return { files, clock, watched, tree, shown, change };
}

describe("file tree", () => {
  it("lists a folder when it is opened, folders first and numbers in order", async () => {
    const { tree, files, shown, watched } = await setup();
    expect(shown()).toEqual(["src", "B2.txt", "b10.txt"]);
    expect(files.lists).toEqual(["/workspace"]);
    tree.toggle("/workspace/src");
    await settled();
    tree.toggle("/workspace/src/lib");
    await settled();
    expect(shown()).toEqual(["src/", "  lib/", "    deep.ts", "  main.ts", "B2.txt", "b10.txt"]);
    expect([...watched]).toEqual(["/workspace", "/workspace/src", "/workspace/src/lib"]);
    tree.toggle("/workspace/src");
    expect([...watched]).toEqual(["/workspace"]);
  });

  it("lists once for a burst of changes, and only folders that are open", async () => {
    const { files, clock, shown, change } = await setup();
    files.lists = [];
    files.folders.get("/workspace")?.push("new.txt");
    for (let index = 0; index < 100; index += 1) change("/workspace/new.txt");
    change("/workspace/src/main.ts");
    clock.advance(60);
    await settled();
    expect(files.lists).toEqual(["/workspace"]);
    expect(shown()).toContain("new.txt");
  });

  it("looks at everything again when changes may have been missed", async () => {
    const { tree, files, clock, change } = await setup();
    tree.expand("/workspace/src");
    await settled();
    files.lists = [];
    change(undefined);
    clock.advance(60);
    await settled();
    expect(files.lists).toEqual(["/workspace", "/workspace/src"]);
  });

  it("drops a folder that is gone, and keeps what it shows while the machine is away", async () => {
    const { tree, files, clock, shown, change } = await setup();
    tree.expand("/workspace/src");
    await settled();
    files.error = new AtollError("link.lost");
    change(undefined);
    clock.advance(60);
    await settled();
    expect(shown()).toContain("  main.ts");
    expect(tree.state.get().error).toBeUndefined();
    files.error = undefined;
    files.folders.delete("/workspace/src");
    files.folders.set("/workspace", ["b10.txt"]);
    change(undefined);
    clock.advance(60);
    await settled();
    expect(shown()).toEqual(["b10.txt"]);
  });

  it("makes, renames and deletes in place, and keeps the input when it is refused", async () => {
    const { tree, shown } = await setup();
    tree.select("/workspace/src");
    tree.beginEdit({ kind: "file", path: tree.targetFolder() });
    await settled();
    await expect(tree.finishEdit("main.ts")).rejects.toMatchObject({ code: "file.exists" });
    expect(tree.state.get().edit).toBeDefined();
    expect(await tree.finishEdit("other.ts")).toBe("/workspace/src/other.ts");
    expect(shown()).toContain("  other.ts");
    tree.beginEdit({ kind: "rename", path: "/workspace/B2.txt" });
    expect(await tree.finishEdit("a.txt")).toBe("/workspace/a.txt");
    await tree.delete("/workspace/src");
    expect(shown()).toEqual(["a.txt", "b10.txt"]);
  });

  it("is walked with the keys of the tree pattern", async () => {
    const { tree } = await setup();
    const log: string[] = [];
    const press = async (...keys: string[]) => {
      for (const key of keys) {
        handleTreeKey(key, tree, {
          open: (path) => log.push(`open ${path}`),
          rename: (path) => log.push(`rename ${path}`),
          remove: (row) => log.push(`remove ${row.name}`),
        });
        await settled();
      }
      return tree.state.get().selected;
    };
    expect(await press("ArrowDown", "ArrowRight")).toBe("/workspace/src");
    expect(await press("ArrowRight")).toBe("/workspace/src/lib");
    expect(await press("ArrowLeft")).toBe("/workspace/src");
    expect(await press("End")).toBe("/workspace/b10.txt");
    expect(await press("m")).toBe("/workspace/src/main.ts");
    await press("Enter", "F2", "Delete");
    expect(log).toEqual(["open /workspace/src/main.ts", "rename /workspace/src/main.ts", "remove main.ts"]);
  });
});
