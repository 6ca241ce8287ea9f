import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";
import { confined } from "./confined.ts";

test("a killed build leaves no process and no mount", async () => {
  const folder = await mkdtemp(join(tmpdir(), "atoll-confined-"));
  try {
    const [mounted, lock] = [join(folder, "mounted"), join(folder, "lock")];
    await mkdir(mounted);
    // As mmdebstrap does, with a grandchild that has no reason to end. All of them hold the lock.
    const build = 'mount -t tmpfs none "$1" && touch "$1/file" && ls "$1" && { sleep 1000 & wait; }';
    const command = confined(["flock", lock, "sh", "-c", build, "build", mounted]);
    const run = `import { spawn } from "node:child_process";
      const [program, ...argv] = JSON.parse(process.argv[1]);
      spawn(program, argv, { stdio: ["ignore", "inherit", "inherit"], detached: true });`;
    const builder = spawn(process.execPath, ["--input-type=module", "--eval", run, JSON.stringify(command)], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const [said] = await once(builder.stdout, "data");
    expect(String(said)).toBe("file\n");
    expect(await readdir(mounted)).toEqual([]);
    builder.kill("SIGKILL");
    await promisify(execFile)("flock", [lock, "true"]);
    expect(await readFile("/proc/self/mountinfo", "utf8")).not.toContain(folder);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
