/**
 * Stands in for the guest agent when the image itself is tested: one JSON request per line, one JSON reply per line,
 * on the link's port. Runs as root in the guest.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { spawn as spawnTerminal } from "@lydell/node-pty";

/** What is used of packages/agent/native/guest-native.ts. */
interface Native {
  reseed(entropy: Uint8Array): void;
  openPort(path: string, onReady: () => void): object;
  readPort(port: object, target: Uint8Array): number;
  writePort(port: object, source: Uint8Array): number;
  setClock: (argument: unknown) => void;
  setHostname: (argument: unknown) => void;
  freeze: (argument: unknown) => void;
  thaw: (argument: unknown) => void;
}

const native = createRequire(import.meta.url)("/run/atoll/base/usr/lib/atoll/guest-native.node") as Native;

type Request =
  | { kind: "run"; argv: [string, ...string[]] }
  | { kind: "terminal"; argv: [string, ...string[]] }
  | { kind: "native"; name: "setClock" | "setHostname" | "freeze" | "thaw"; argument: string | number }
  | { kind: "reseed"; byteCount: number }
  | { kind: "die" };

function answer(request: Request, reply: (value: unknown) => void): void {
  switch (request.kind) {
    case "run": {
      const [command, ...rest] = request.argv;
      const { status, stdout, stderr } = spawnSync(command, rest, {
        encoding: "utf8",
        env: userEnvironment(),
      });
      reply({ status, stdout, stderr });
      return;
    }
    case "terminal": {
      const [command, ...rest] = request.argv;
      const terminal = spawnTerminal(command, rest, { name: "xterm-256color", cols: 91, rows: 37 });
      let stdout = "";
      terminal.onData((data) => {
        stdout += data;
      });
      terminal.onExit(({ exitCode }) => reply({ status: exitCode, stdout, stderr: "" }));
      return;
    }
    case "native":
      // The test names a function and its argument; a wrong pair is what the addon has to refuse.
      native[request.name](request.argument);
      reply({ now: Date.now() });
      return;
    case "reseed":
      native.reseed(new Uint8Array(request.byteCount).fill(1));
      reply({});
      return;
    case "die":
      process.exit(7);
  }
}

function handle(line: string, reply: (value: unknown) => void): void {
  try {
    answer(JSON.parse(line) as Request, reply);
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : undefined;
    reply({ error: String(error), code });
  }
}

function userEnvironment(): Record<string, string> {
  const lines = readFileSync("/etc/environment", "utf8").split("\n");
  return Object.fromEntries(
    lines.filter((line) => line.includes("=")).map((line) => line.split(/=(.*)/s, 2)),
  );
}

class Lines {
  #rest = "";
  push(text: string, onLine: (line: string) => void): void {
    const lines = (this.#rest + text).split("\n");
    this.#rest = lines.pop() ?? "";
    for (const line of lines) onLine(line);
  }
}

const incoming = Buffer.alloc(65_536);
const outgoing: Buffer[] = [];
const lines = new Lines();
const port = native.openPort("/dev/virtio-ports/org.atoll.link", () => {
  for (let count = native.readPort(port, incoming); count > 0; count = native.readPort(port, incoming)) {
    lines.push(incoming.toString("utf8", 0, count), (line) => handle(line, send));
  }
  flush();
});

function send(value: unknown): void {
  outgoing.push(Buffer.from(`${JSON.stringify(value)}\n`));
  flush();
}

function flush(): void {
  for (let head = outgoing[0]; head !== undefined; head = outgoing[0]) {
    const count = native.writePort(port, head);
    if (count < 0) return;
    if (count < head.length) outgoing[0] = head.subarray(count);
    else outgoing.shift();
  }
}

// Tells the host that it is here: bytes written before anyone reads the port would be lost.
send({ ready: true });
