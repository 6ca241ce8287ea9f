import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Scope } from "@atoll/base/scope";
import { describe, expect, it } from "vitest";
import { dialVsock } from "./dial-vsock.ts";

async function vsockHost(scope: Scope, serve: (socket: Socket, line: string) => void): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "atoll-vsock-"));
  scope.defer(() => rm(directory, { recursive: true }));
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.once("data", (line) => serve(socket, line.toString()));
  });
  const socketPath = join(directory, "v.sock");
  server.listen(socketPath);
  await once(server, "listening");
  scope.defer(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return socketPath;
}

describe("dial vsock", () => {
  it("keeps the guest's bytes that came with the answer", async () => {
    await using scope = new Scope();
    const socketPath = await vsockHost(scope, (socket, line) =>
      socket.write(line === "CONNECT 1024\n" ? "OK 5\nhello" : "no"),
    );
    const socket = await dialVsock({ socketPath, port: 1024, timeoutMs: 5000 });
    scope.defer(() => socket.destroy());
    const [first] = await once(socket.resume(), "data");
    expect(String(first)).toBe("hello");
  });

  it.each(["NO 5\n", "OK \n", "OK 99999999999\n", "OK 5 and more text here\n", "x".repeat(1000), "\n"])(
    "refuses %j as an answer",
    async (answer) => {
      await using scope = new Scope();
      const socketPath = await vsockHost(scope, (socket) => socket.write(answer));
      await expect(dialVsock({ socketPath, port: 1024, timeoutMs: 5000 })).rejects.toMatchObject({
        code: "link.protocol",
      });
    },
  );

  it("reports a closed socket and a missing one as a lost link", async () => {
    await using scope = new Scope();
    const socketPath = await vsockHost(scope, (socket) => socket.end());
    await expect(dialVsock({ socketPath, port: 1, timeoutMs: 5000 })).rejects.toMatchObject({
      code: "link.lost",
    });
    await expect(
      dialVsock({ socketPath: `${socketPath}-none`, port: 1, timeoutMs: 5000 }),
    ).rejects.toMatchObject({
      code: "link.lost",
    });
  });

  it("gives up at its deadline", async () => {
    await using scope = new Scope();
    const socketPath = await vsockHost(scope, () => {});
    await expect(dialVsock({ socketPath, port: 1, timeoutMs: 20 })).rejects.toMatchObject({
      code: "link.lost",
    });
  });
});
