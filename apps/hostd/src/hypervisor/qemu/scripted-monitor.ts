import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface ScriptedMonitor extends AsyncDisposable {
  path: string;
}

/** For tests: QEMU's monitor with answers as told. */
export async function scriptedMonitor(
  answer: (command: string, id: number, socket: Socket) => void,
): Promise<ScriptedMonitor> {
  const directory = await mkdtemp(join(tmpdir(), "atoll-qmp-"));
  const path = join(directory, "qmp.sock");
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.write('{"QMP": {"version": {}, "capabilities": []}}\r\n');
    socket.on("data", (bytes) => {
      for (const line of bytes.toString().split("\n").filter(Boolean)) {
        const { execute, id } = JSON.parse(line) as { execute: string; id: number };
        if (execute === "qmp_capabilities") socket.write(`{"return": {}, "id": ${id}}\r\n`);
        else answer(execute, id, socket);
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return {
    path,
    async [Symbol.asyncDispose]() {
      server.close();
      await rm(directory, { recursive: true });
    },
  };
}
