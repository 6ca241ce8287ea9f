import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { expect, test } from "vitest";
import { TicketOffice } from "./testing/ticket-office.ts";

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test("the process serves both listeners without hostd, and stops cleanly", async () => {
  const directory = await mkdtemp(join(tmpdir(), "atoll-gateway-"));
  const keyFile = join(directory, "ticket.pem");
  await writeFile(keyFile, new TicketOffice().publicKey.export({ type: "spki", format: "pem" }));
  const ports = [await freePort(), await freePort()];
  const child = spawn(process.execPath, [join(import.meta.dirname, "main.ts")], {
    env: {
      ATOLL_GATEWAY_PORT: String(ports[0]),
      ATOLL_PREVIEW_PORT: String(ports[1]),
      ATOLL_WEB_URL: "http://localhost:3000",
      ATOLL_LINK_SOCKET: join(directory, "link.sock"),
      ATOLL_TICKET_PUBLIC_KEY_FILE: keyFile,
      ATOLL_DATA: directory,
    },
    stdio: ["ignore", "pipe", "inherit"],
  });
  const exited = once(child, "exit");
  await once(createInterface(child.stdout), "line");
  for (const port of ports) {
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
  }
  child.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);
  await rm(directory, { recursive: true });
});
