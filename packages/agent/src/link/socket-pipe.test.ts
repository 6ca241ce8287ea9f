import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { BytePipe } from "./byte-pipe.ts";
import { listenForPipes } from "./socket-pipe.ts";

it("carries bytes over a socket that only its owner may connect to, and says when the host left", async () => {
  const folder = await mkdtemp(join(tmpdir(), "atoll-agent-"));
  const path = join(folder, "agent.sock");
  const pipes: BytePipe[] = [];
  let received = "";
  let onGone: () => void = () => {};
  const gone = new Promise<void>((resolve) => {
    onGone = resolve;
  });
  const server = listenForPipes(path, (pipe) => {
    pipes.push(pipe);
    return {
      onBytes: (chunk) => {
        received += Buffer.from(chunk).toString();
        pipe.write(Buffer.from("pong"));
      },
      onDrain: () => {},
      onDisconnect: onGone,
    };
  });
  await once(server, "listening");
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  const host = connect(path);
  host.write("ping");
  expect(String((await once(host, "data"))[0])).toBe("pong");
  expect(received).toBe("ping");
  host.destroy();
  await gone;
  expect(pipes.map(({ canReturn }) => canReturn)).toEqual([false]);
  server.close();
  await rm(folder, { recursive: true });
});
