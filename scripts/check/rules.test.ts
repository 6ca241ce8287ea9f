import { describe, expect, it } from "vitest";
import { findCycles } from "./cycles.ts";
import { documentFaults } from "./document-rules.ts";
import { durableFaults } from "./durable-rules.ts";
import { importFaults } from "./import-rules.ts";
import { shapeFaults } from "./shape-rules.ts";
import { parseSource } from "./sources.ts";

const imports = (path: string, text: string) => importFaults(parseSource(path, text));
const shape = (path: string, text: string) => shapeFaults(parseSource(path, text));

describe("reading imports", () => {
  it("sees every form, over several lines, and none in comments or strings", () => {
    const text = `import type { A } from "./a.ts";
import {
  b,
} from "./b.ts";
import "./c.ts";
export { d } from "./d.ts";
// import x from "./never.ts";
/* import y from "./never.ts" */
const e = await import("./e.ts");
const text = 'import z from "./never.ts"';`;
    expect(parseSource("x.ts", text).imports).toEqual([
      { specifier: "./a.ts", isType: true, line: 1 },
      { specifier: "./b.ts", isType: false, line: 2 },
      { specifier: "./c.ts", isType: false, line: 5 },
      { specifier: "./d.ts", isType: false, line: 6 },
      { specifier: "./e.ts", isType: false, line: 9 },
    ]);
  });
});

describe("import directions", () => {
  it.each([
    ["packages/base/src/x.ts", "@atoll/protocol/frame", /may not depend/],
    ["packages/protocol/src/x.ts", "@atoll/keys/x", /may not depend/],
    ["apps/gateway/src/x.ts", "@atoll/db/users", /only the web app's server/],
    ["apps/web/src/features/x.ts", "@atoll/db/users", /apps\/web\/src\/server/],
    ["apps/web/src/server/x.ts", "@atoll/hostd/x", /apps never import apps/],
    ["apps/hostd/src/x.ts", "../../gateway/src/y.ts", /leaves apps\/hostd/],
    ["apps/hostd/src/x.ts", "@atoll/protocol/src/frame", /@atoll\/protocol\/frame/],
    ["packages/db/src/x.ts", "@atoll/db/users", /relative path/],
    ["packages/unheard/src/x.ts", "@atoll/base/scope", /no rule/],
  ])("%s may not import %s", (path, specifier, advice) => {
    expect(imports(path, `import { x } from "${specifier}";`)).toEqual([expect.stringMatching(advice)]);
  });

  it.each([
    ["apps/web/src/server/x.ts", "@atoll/db/users"],
    ["apps/hostd/src/x.ts", "@atoll/keys/x"],
    ["apps/hostd/src/a/x.ts", "../b/y.ts"],
    ["apps/web/src/app/page.tsx", "../../package.json"],
    ["scripts/start/x.ts", "../../vm-images/build-image.ts"],
    ["packages/base/src/x.ts", "zod"],
  ])("%s may import %s", (path, specifier) => {
    expect(imports(path, `import { x } from "${specifier}";`)).toEqual([]);
  });
});

describe("shape", () => {
  it("wants a reason above 300 lines and none helps above 500", () => {
    const lines = (count: number) => "x;\n".repeat(count);
    expect(shape("apps/web/src/a.ts", lines(300))).toEqual([]);
    expect(shape("apps/web/src/a.ts", lines(301))).toEqual([expect.stringContaining("Length:")]);
    expect(
      shape("apps/web/src/a.ts", `/** A table.\n * Length: one row per escape. */\n${lines(400)}`),
    ).toEqual([]);
    expect(shape("apps/web/src/a.ts", `/** Length: long. */\n${lines(500)}`)).toHaveLength(1);
    expect(shape("apps/web/src/a.test.ts", lines(800))).toEqual([]);
    expect(shape("apps/web/src/a.test.ts", lines(801))).toHaveLength(1);
  });

  it("refuses names that name nothing", () => {
    for (const path of [
      "apps/web/src/utils/a.ts",
      "packages/db/src/vm-manager.ts",
      "packages/db/src/helpers.ts",
    ]) {
      expect(shape(path, "")).toHaveLength(1);
    }
    expect(shape("apps/web/src/manage-account.ts", "")).toEqual([]);
  });

  it("keeps process.env in env.ts, tools and tests", () => {
    const text = "// process.env\nconst x = process.env.HOME;";
    expect(shape("apps/web/src/a.ts", text)).toEqual([expect.stringContaining("apps/web/src/a.ts:2")]);
    expect(shape("apps/web/src/a.ts", "process.env.NODE_ENV")).toEqual([]);
    for (const path of [
      "apps/web/src/env.ts",
      "apps/web/next.config.ts",
      "scripts/a.ts",
      "apps/web/src/a.test.ts",
    ]) {
      expect(shape(path, text)).toEqual([]);
    }
  });
});

describe("changes of files", () => {
  const durable = (path: string, text: string) => durableFaults(parseSource(path, text));

  it.each([
    'import { readFile, rename as move } from "node:fs/promises";',
    'import { writeFileSync } from "node:fs";',
    'import * as fs from "node:fs";',
    'import fs, { readFile } from "node:fs/promises";',
    'import {\n  mkdir,\n  stat,\n} from "node:fs/promises";',
    'import { open } from "node:fs/promises";\nconst file = await open(path, "wx", 0o600);',
  ])("past the recorded operations are refused: %s", (text) => {
    expect(durable("apps/hostd/src/x.ts", text)).toEqual([expect.stringContaining("@atoll/durable")]);
    expect(durable("packages/keys/src/x.ts", text)).toHaveLength(1);
  });

  it("may be in tests, in programs of the guest and where a reason is given", () => {
    const text = 'import { writeFile } from "node:fs/promises";';
    for (const path of [
      "apps/hostd/src/x.test.ts",
      "packages/agent/src/x.ts",
      "apps/hostd/src/disks/format-disk.ts",
    ]) {
      expect(durable(path, text)).toEqual([]);
    }
    expect(durable("apps/hostd/src/x.ts", 'import { open, readFile } from "node:fs/promises";')).toEqual([]);
    expect(durable("apps/hostd/src/disks/format-disk.ts", "")).toEqual([expect.stringContaining("any more")]);
  });
});

describe("cycles", () => {
  it("finds a ring once, and leaves type imports alone", () => {
    const sources = [
      parseSource("a.ts", 'import { b } from "./b.ts";'),
      parseSource("b.ts", 'import { c } from "./c.ts";'),
      parseSource("c.ts", 'import { a } from "./a.ts";'),
      parseSource("d.ts", 'import { e } from "./e.ts";'),
      parseSource("e.ts", 'import type { d } from "./d.ts";'),
    ];
    expect(findCycles(sources)).toEqual([expect.stringContaining("a.ts → b.ts → c.ts → a.ts")]);
  });
});

describe("documents", () => {
  const exists = (path: string) => ["docs/a.md", "apps/web", "apps/hostd", "apps/web/src"].includes(path);
  const faults = (text: string) => documentFaults("docs/x.md", text, exists);

  it("finds links and paths to nothing", () => {
    expect(faults("[a](b.md)\nsee `apps/none/x.ts`")).toEqual([
      expect.stringContaining("docs/x.md:1: names docs/b.md"),
      expect.stringContaining("docs/x.md:2: names apps/none/x.ts"),
    ]);
    expect(faults("`apps/{web,none}`")).toHaveLength(1);
  });

  it("takes what exists, addresses, and text that is no path", () => {
    expect(
      faults("[a](a.md#part) [b](https://x.test/y) `apps/web/src/*.ts` `apps/{web,hostd}` `a/b`"),
    ).toEqual([]);
  });
});
