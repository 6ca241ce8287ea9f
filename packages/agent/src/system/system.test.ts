import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { readEnv } from "../env.ts";
import { createLog } from "../log.ts";
import { readSmallFile } from "./read-small-file.ts";
import { parseEnvironment } from "./user-account.ts";
import { writeNames } from "./write-names.ts";

async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), "atoll-agent-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

describe("the guest's files", () => {
  it("reads a small ordinary file and waits for nothing else", async () => {
    await using folder = await temporaryFolder();
    const path = join(folder.path, "f");
    await writeFile(path, "0123456789");
    expect(await readSmallFile(path, 4)).toBe("0123");
    execFileSync("mkfifo", [join(folder.path, "fifo")]);
    expect(await readSmallFile(join(folder.path, "fifo"))).toBeUndefined();
    expect(await readSmallFile(join(folder.path, "absent"))).toBeUndefined();
    expect(await readSmallFile("/dev/zero")).toBeUndefined();
  });

  it("replaces both names, also when one is a link", async () => {
    await using folder = await temporaryFolder();
    await symlink("/nowhere/else", join(folder.path, "machine-id"));
    const identity = { workspaceId: "w", hostname: "a", machineId: "0".repeat(32) };
    writeNames(folder.path, identity);
    writeNames(folder.path, { ...identity, hostname: "b", machineId: "1".repeat(32) });
    expect(await readFile(join(folder.path, "machine-id"), "utf8")).toBe(`${"1".repeat(32)}\n`);
    expect(await readFile(join(folder.path, "hostname"), "utf8")).toBe("b\n");
  });

  it("reads the environment's lines and leaves the rest out", () => {
    expect(parseEnvironment('# comment\nA=1\n B="two words" \nC=\n1X=no\nno line\nD=a=b\n')).toEqual({
      A: "1",
      B: "two words",
      C: "",
      D: "a=b",
    });
  });
});

describe("the agent's own environment", () => {
  it("has defaults for a guest and tells all faults at once", () => {
    expect(readEnv({})).toMatchObject({
      ATOLL_LINK: "/dev/virtio-ports/org.atoll.link",
      ATOLL_PROXY_PORT: 3128,
    });
    expect(readEnv({ ATOLL_LINK: "unix:/run/x" })).toMatchObject({ ATOLL_LINK: "unix:/run/x" });
    expect(() => readEnv({ ATOLL_LINK: "tcp", ATOLL_PROXY_PORT: "0" })).toThrow(
      /ATOLL_LINK[\s\S]*ATOLL_PROXY_PORT/,
    );
  });
});

describe("the log", () => {
  it("keeps to one line each and to a number of lines", () => {
    const lines: string[] = [];
    const log = createLog((text) => void lines.push(text));
    for (let index = 0; index < 600; index++) log(`a\nb ${index}`);
    expect(lines).toHaveLength(500);
    expect(lines[0]).toBe("atoll-agent: a b 0\n");
    expect(lines.at(-1)).toBe("atoll-agent: no more lines in this life\n");
  });
});
