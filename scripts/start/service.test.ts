import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { getJson } from "./get-json.ts";
import { isAlive, type ProcessIdentity } from "./process-identity.ts";
import { Service, type ServiceOptions } from "./service.ts";
import { ServiceRecords } from "./service-records.ts";

const SERVER = `import { createServer } from "node:http";
console.log("starting");
const server = createServer((_, response) => response.end("{}"));
server.listen(process.argv[2]);
`;

let directory: string;
let notes: string[];
let onNote: (text: string) => void;
let services: Service[];
let signal: AbortSignal;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "atoll-service-"));
  notes = [];
  onNote = () => {};
  services = [];
  signal = new AbortController().signal;
});

afterEach(async () => {
  for (const service of services) await service.stop(0);
  rmSync(directory, { recursive: true, force: true });
});

function service(script: string, overrides: Partial<ServiceOptions> = {}): Service {
  const path = join(directory, "service.mjs");
  writeFileSync(path, script);
  const socketPath = join(directory, "health.sock");
  const made = new Service({
    name: "sample",
    argv: [path, socketPath],
    cwd: directory,
    env: process.env,
    log: join(directory, "service.log"),
    isHealthy: async (until) => (await getJson({ socketPath, path: "/" }, until)) !== undefined,
    startTimeoutMs: 20_000,
    onNote: (text) => {
      notes.push(text);
      onNote(text);
    },
    onProcess: () => {},
    ...overrides,
  });
  services.push(made);
  return made;
}

describe("a service", () => {
  it("leaves no core file, whatever happens to it or to what it starts", async () => {
    const limits = `import { readFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
const own = readFileSync("/proc/self/limits", "utf8");
console.log(own + execFileSync("cat", ["/proc/self/limits"]));
${SERVER}`;
    await service(limits).start(signal);
    const log = readFileSync(join(directory, "service.log"), "utf8");
    expect(log.match(/^Max core file size\s+\S+\s+\S+/gm)?.map((line) => line.split(/\s+/).slice(4))).toEqual(
      [
        ["1", "1"],
        ["1", "1"],
      ],
    );
  });

  it("is started once it answers, and gone once it is stopped", async () => {
    const identities: Array<ProcessIdentity | undefined> = [];
    const sample = service(SERVER, { onProcess: (identity) => identities.push(identity) });
    await sample.start(signal);
    const [identity] = identities;
    expect(identity && isAlive(identity)).toBe(true);
    expect(readFileSync(join(directory, "service.log"), "utf8")).toBe("starting\n");
    await sample.stop(10_000);
    await sample.stop(10_000);
    expect(identity && isAlive(identity)).toBe(false);
    expect(notes).toEqual([]);
  });

  it("that ends before it is ready fails with the end of its log", async () => {
    const sample = service('console.error("no such port"); process.exit(3);');
    await expect(sample.start(signal)).rejects.toMatchObject({
      message: "sample ended with code 3 before it was ready",
      logTail: "no such port",
    });
  });

  it("that says why it ends fails with that in words, and with nothing of its last life", async () => {
    const told = (line: object) => `console.log(${JSON.stringify(JSON.stringify(line))}); process.exit(1);`;
    const err = { message: "host.emulation_refused", code: "host.emulation_refused", stack: "at x" };
    const refused = service(told({ level: 60, err, msg: "hostd cannot go on" }));
    await expect(refused.start(signal)).rejects.toMatchObject({
      message: expect.stringMatching(/^sample ended with code 1 before it was ready: This host only has em/),
      logTail: undefined,
      remedy: expect.stringMatching(/^Use a host with KVM/),
    });
    const faulty = service(
      'throw new Error("its environment is faulty:\\n  ATOLL_POOL_SIZE: not a number");',
    );
    await expect(faulty.start(signal)).rejects.toMatchObject({
      message: expect.stringMatching(/ready: its environment is faulty:\n {2}ATOLL_POOL_SIZE: not a number$/),
      remedy: expect.stringMatching(/^Correct what it names.*service\.log/),
    });
  });

  it("that never answers fails at its deadline", async () => {
    const sample = service("setInterval(() => {}, 1000);", { startTimeoutMs: 300 });
    await expect(sample.start(signal)).rejects.toThrow(/not ready within/);
  });

  it("is started again when it ends by itself, and says so", async () => {
    const again = Promise.withResolvers<ProcessIdentity>();
    let starts = 0;
    const sample = service(
      SERVER.replace("server.listen", "rmSync(process.argv[2], { force: true }); server.listen").replace(
        "import",
        'import { rmSync } from "node:fs";\nimport',
      ),
      {
        onProcess: (identity) => {
          if (!identity) return;
          starts += 1;
          if (starts === 2) again.resolve(identity);
        },
      },
    );
    await sample.start(signal);
    process.kill(sample.pid ?? 0, "SIGKILL");
    const second = await again.promise;
    expect(isAlive(second)).toBe(true);
    expect(notes).toEqual([expect.stringMatching(/^sample ended by SIGKILL; starting it again in 0.5 s/)]);
  });

  it("that hangs when it was started again is ended, and started once more", async () => {
    const hangsOnce = `import { existsSync, rmSync, writeFileSync } from "node:fs";
const life = Number(existsSync("first")) + Number(existsSync("second"));
if (life < 2) writeFileSync(["first", "second"][life], "");
if (life === 1) await new Promise((resolve) => setTimeout(resolve, 2 ** 30));
rmSync(process.argv[2], { force: true });
${SERVER}`;
    const sample = service(hangsOnce, { startTimeoutMs: 3_000, longestRestartDelayMs: 100 });
    await sample.start(signal);
    const isBack = new Promise<void>((resolve) => {
      const look = async () => {
        const answer = await getJson({ socketPath: join(directory, "health.sock"), path: "/" }, signal).catch(
          () => undefined,
        );
        if (answer !== undefined && existsSync(join(directory, "second"))) resolve();
        else setTimeout(look, 50);
      };
      onNote = () => void look();
    });
    process.kill(sample.pid ?? 0, "SIGKILL");
    await isBack;
    expect(notes).toContainEqual("sample was not ready within 3 s");
  });

  it("that ignores SIGTERM is killed when the caller is in a hurry", async () => {
    const sample = service(`process.on("SIGTERM", () => {});\n${SERVER}`);
    await sample.start(signal);
    const hurry = new AbortController();
    const stopped = sample.stop(600_000, hurry.signal);
    hurry.abort();
    await stopped;
    expect(existsSync(`/proc/${sample.pid}`)).toBe(false);
  });

  it("can be stopped while it is still starting", async () => {
    const sample = service("setInterval(() => {}, 1000);");
    const stop = new AbortController();
    const started = sample.start(stop.signal);
    stop.abort(new Error("asked to stop"));
    await expect(started).rejects.toThrow("asked to stop");
  });

  it("cuts a log that has grown too long, and keeps the part before", async () => {
    writeFileSync(join(directory, "service.log"), "x".repeat(11 * 1024 * 1024));
    await service(SERVER).start(signal);
    expect(readFileSync(join(directory, "service.log"), "utf8")).toBe("starting\n");
    expect(existsSync(join(directory, "service.log.1"))).toBe(true);
  });
});

describe("records of services", () => {
  it("let the next start end what a killed one left behind, and nothing else", async () => {
    const path = join(directory, "services.json");
    let identity: ProcessIdentity | undefined;
    const sample = service(SERVER, { onProcess: (now) => (identity = now ?? identity) });
    await sample.start(signal);
    if (!identity) throw new Error("no process");
    const before = new ServiceRecords(path);
    before.set("web", identity);
    // The number is in use by this very test, but the start time says it is another process.
    before.set("gateway", { pid: process.pid, startTicks: 1 });
    expect(await new ServiceRecords(path).endLeftovers(() => {})).toEqual(["web"]);
    expect(isAlive(identity)).toBe(false);
  });

  it("are empty when the file is missing or damaged", async () => {
    const path = join(directory, "services.json");
    expect(await new ServiceRecords(path).endLeftovers(() => {})).toEqual([]);
    writeFileSync(path, '{"web":{"pid":');
    expect(await new ServiceRecords(path).endLeftovers(() => {})).toEqual([]);
  });
});
