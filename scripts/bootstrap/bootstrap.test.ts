import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Writable } from "node:stream";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { difference, linkNode } from "./npm-packages.mjs";
import { Progress, StepFailure } from "./progress.mjs";
import { runLogged } from "./run-logged.mjs";

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "atoll-bootstrap-"));
});

afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(directory, { recursive: true, force: true });
});

/** A stream as `process.stdout` is one, with what was written to it. */
function output(options: { isTTY?: boolean; fails?: boolean } = {}): {
  stream: NodeJS.WriteStream;
  text: () => string;
} {
  let text = "";
  const stream = new Writable({
    write(chunk, _encoding, done) {
      text += String(chunk);
      done(options.fails ? new Error("EIO") : null);
    },
  });
  return {
    stream: Object.assign(stream, {
      isTTY: options.isTTY ?? false,
      columns: 40,
    }) as unknown as NodeJS.WriteStream,
    text: () => text,
  };
}

describe("the link to Node", () => {
  const link = () => join(directory, "node_modules", ".bin", "node");
  const ours = `../node-linux-${process.arch}/bin/node`;

  beforeEach(() => {
    mkdirSync(join(directory, "node_modules", ".bin"), { recursive: true });
    mkdirSync(join(directory, "node_modules", `node-linux-${process.arch}`, "bin"), { recursive: true });
    writeFileSync(join(directory, "node_modules", `node-linux-${process.arch}`, "bin", "node"), "");
  });

  it("is made where npm made none, or one that leads nowhere", () => {
    linkNode(directory);
    expect(readlinkSync(link())).toBe(ours);
    rmSync(link());
    symlinkSync("../gone/node", link());
    linkNode(directory);
    expect(readlinkSync(link())).toBe(ours);
  });

  it("of npm's own stays as it is", () => {
    writeFileSync(join(directory, "another"), "");
    symlinkSync(join(directory, "another"), link());
    linkNode(directory);
    expect(readlinkSync(link())).toBe(join(directory, "another"));
  });
});

describe("progress", () => {
  it("ends each step with its result, and gives the result back", async () => {
    const { stream, text } = output();
    const progress = new Progress(stream);
    expect(await progress.step("Sum", () => 1 + 1)).toBe(2);
    await progress.step("Build", () => "unchanged");
    progress.note("done");
    expect(text()).toMatch(/^ ok {3}Sum \d+\.\d s\n ok {3}Build \d+\.\d s {2}unchanged\ndone\n$/);
  });

  it("says what failed, the end of its log, and what to do", async () => {
    const { stream, text } = output();
    const progress = new Progress(stream);
    const failure = new StepFailure("no disk", { logTail: "one\ntwo", remedy: "Buy one." });
    const step = progress.step("Write", () => Promise.reject(failure));
    await expect(step).rejects.toBe(failure);
    progress.failure(failure);
    expect(text()).toMatch(
      /^FAIL {2}Write .* s\n\nFailed: no disk\n\n {4}one\n {4}two\n\nWhat to do: Buy one\.\n$/,
    );
  });

  it("never lets a line wrap on a terminal, where it could not be rewritten", async () => {
    vi.stubEnv("TERM", "xterm");
    const { stream, text } = output({ isTTY: true });
    await new Progress(stream).step("Build", (report) => report("x".repeat(200)));
    const rewritten = text()
      .split("\r")
      .filter((line) => line.includes("xxx"));
    for (const line of rewritten)
      expect(line.replaceAll(/[^ -~]\[\d*[mK]/g, "").length).toBeLessThanOrEqual(40);
    expect(rewritten).not.toEqual([]);
  });

  it("goes on when its terminal is gone", async () => {
    const { stream } = output({ fails: true });
    expect(await new Progress(stream).step("Stop", () => "stopped")).toBe("stopped");
  });
});

describe("running a program", () => {
  const log = () => join(directory, "logs", "program.log");

  it("keeps its output in the log", async () => {
    await runLogged([process.execPath, "-e", "console.log('out'); console.error('err')"], { log: log() });
    expect(readFileSync(log(), "utf8").split("\n").sort()).toEqual(["", "err", "out"]);
  });

  it("fails with the end of the log and the remedy", async () => {
    const script = "for (let i = 0; i < 50; i++) console.log(i); process.exit(3)";
    const run = runLogged([process.execPath, "-e", script], { log: log(), remedy: "Try again." });
    await expect(run).rejects.toMatchObject({
      message: expect.stringContaining("ended with code 3"),
      logTail: expect.stringMatching(/^30\n[\s\S]*\n49$/),
      remedy: "Try again.",
    });
  });

  it("fails when there is no such program", async () => {
    await expect(runLogged(["/no/such/program"], { log: log() })).rejects.toThrow(/ENOENT/);
  });
});

describe("installed npm packages", () => {
  const lock = (packages: object) => JSON.stringify({ packages });
  const a = { version: "1.0.0", integrity: "sha512-a" };
  const write = (wanted: object, installed?: object) => {
    writeFileSync(join(directory, "package-lock.json"), lock({ "": {}, "packages/x": {}, ...wanted }));
    mkdirSync(join(directory, "node_modules"), { recursive: true });
    const record = join(directory, "node_modules", ".package-lock.json");
    if (installed) writeFileSync(record, lock(installed));
  };

  it("match when each is there as locked, other platforms' aside", () => {
    write({ "node_modules/a": a, "node_modules/other": { ...a, optional: true } }, { "node_modules/a": a });
    expect(difference(directory)).toBeUndefined();
  });

  it("differ when the one with this platform's programs was left out", () => {
    const native = { ...a, optional: true, os: [process.platform], cpu: [process.arch] };
    write({ "node_modules/native": native }, {});
    expect(difference(directory)).toBe("node_modules/native");
    write({ "node_modules/native": { ...native, cpu: ["mips"] } }, {});
    expect(difference(directory)).toBeUndefined();
    write({ "node_modules/native": { ...native, libc: ["musl"] } }, {});
    expect(difference(directory)).toBeUndefined();
  });

  it("differ when one is missing, older, left over, or the install never ended", () => {
    write({ "node_modules/a": a });
    expect(difference(directory)).toBe("everything");
    write({ "node_modules/a": a }, {});
    expect(difference(directory)).toBe("node_modules/a");
    write({ "node_modules/a": a }, { "node_modules/a": { ...a, integrity: "sha512-b" } });
    expect(difference(directory)).toBe("node_modules/a");
    write({}, { "node_modules/a": a });
    expect(difference(directory)).toBe("node_modules/a");
  });
});
