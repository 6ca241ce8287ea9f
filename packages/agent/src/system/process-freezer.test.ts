import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ProcessFreezer } from "./process-freezer.ts";

/** Control groups as files: what is written to them stays as it is, and every group is as it was told. */
function hierarchy(groups: readonly string[]) {
  const root = mkdtempSync(join(tmpdir(), "atoll-freezer-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const logged: string[] = [];
  const at = (group: string, file: string) => join(root, group, file);
  for (const group of groups) {
    mkdirSync(join(root, group));
    for (const [file, text] of [
      ["cgroup.freeze", "0"],
      ["cgroup.events", "populated 1\nfrozen 1\n"],
      ["cgroup.procs", ""],
    ] as const)
      writeFileSync(at(group, file), text);
  }
  const options = { root, pid: process.pid, log: (line: string) => void logged.push(line) };
  return {
    root,
    logged,
    at,
    freezer: () => new ProcessFreezer(options),
    isFrozen: (group: string) => readFileSync(at(group, "cgroup.freeze"), "latin1") === "1",
    members: (group: string) => readFileSync(at(group, "cgroup.procs"), "latin1"),
  };
}

test("everybody stands still but the group that this process has for itself, and goes on again", () => {
  const { freezer, isFrozen, members, logged } = hierarchy(["user", "atoll", "mine"]);
  const one = freezer();
  one.prepare();
  expect(members("user")).toBe(`${process.pid}`);
  one.freeze();
  expect(["user", "mine", "atoll"].map(isFrozen)).toEqual([true, true, false]);
  expect(members("atoll")).toBe(`${process.pid}`);
  one.thaw();
  expect(["user", "mine"].map(isFrozen)).toEqual([false, false]);
  expect(logged).toEqual([]);
});

test("a group that its user froze stays frozen", () => {
  const { freezer, isFrozen, at } = hierarchy(["user", "atoll", "mine"]);
  const one = freezer();
  one.prepare();
  writeFileSync(at("mine", "cgroup.freeze"), "1");
  one.freeze();
  one.thaw();
  expect([isFrozen("user"), isFrozen("mine")]).toEqual([false, true]);
});

test("what an earlier life left frozen goes on at the next one's beginning", () => {
  const { freezer, isFrozen } = hierarchy(["user", "atoll"]);
  const before = freezer();
  before.prepare();
  before.freeze();
  expect(isFrozen("user")).toBe(true);
  freezer().prepare();
  expect(isFrozen("user")).toBe(false);
});

test("a process that cannot step apart freezes nobody, or it would stand still with them", () => {
  const { freezer, isFrozen, logged, root } = hierarchy(["user", "atoll"]);
  const one = freezer();
  one.prepare();
  rmSync(join(root, "atoll"), { recursive: true });
  one.freeze();
  expect(isFrozen("user")).toBe(false);
  expect(logged).toEqual([expect.stringContaining("stepping apart")]);
});

test("it joins the programs before it starts one, but not while they stand still", () => {
  const { freezer, members, at } = hierarchy(["user", "atoll"]);
  const one = freezer();
  one.prepare();
  one.freeze();
  writeFileSync(at("user", "cgroup.procs"), "");
  one.joinPrograms();
  expect(members("user")).toBe("");
  one.thaw();
  one.joinPrograms();
  expect(members("user")).toBe(`${process.pid}`);
});
