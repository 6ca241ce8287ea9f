import { createSocket } from "node:dgram";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, it } from "vitest";
import { hostResolver } from "./resolve-host.ts";

const TYPE_A = 1;

/** A name server that knows one name, and does not answer to others. */
async function nameServer() {
  const socket = createSocket("udp4");
  const asked: string[] = [];
  socket.on("message", (query, { port, address }) => {
    const labels: string[] = [];
    let at = 12;
    for (let size = query[at] ?? 0; size > 0; size = query[at] ?? 0) {
      labels.push(query.toString("ascii", at + 1, at + 1 + size));
      at += 1 + size;
    }
    const isV4 = query.readUInt16BE(at + 1) === TYPE_A;
    asked.push(labels.join("."));
    if (labels.join(".") !== "known.example") return;
    const header = Buffer.from([0, 0, 0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]);
    query.copy(header, 0, 0, 2);
    const record = isV4
      ? [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 203, 0, 113, 7]
      : [0xc0, 12, 0, 28, 0, 1, 0, 0, 0, 60, 0, 16, 0x20, 1, 0xd, 0xb8, ...Array(11).fill(0), 7];
    socket.send(Buffer.concat([header, query.subarray(12, at + 5), Buffer.from(record)]), port, address);
  });
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  const directory = await mkdtemp(join(tmpdir(), "atoll-hosts-"));
  const hostsPath = join(directory, "hosts");
  await writeFile(
    hostsPath,
    "# names\n2001:db8::1 listed.example\n203.0.113.1\tLISTED.example other # known.example\n",
  );
  return {
    asked,
    resolve: hostResolver({ hostsPath, servers: [`127.0.0.1:${socket.address().port}`] }),
    async [Symbol.asyncDispose]() {
      socket.close();
      await rm(directory, { recursive: true });
    },
  };
}

const never = new AbortController().signal;

it("answers all addresses of a name, those of the fourth version first", async () => {
  await using names = await nameServer();
  expect(await names.resolve("known.example", never)).toEqual([
    { address: "203.0.113.7", family: 4 },
    { address: "2001:db8::7", family: 6 },
  ]);
});

it("asks nobody for what this host's own list has", async () => {
  await using names = await nameServer();
  expect(await names.resolve("listed.example", never)).toEqual([
    { address: "203.0.113.1", family: 4 },
    { address: "2001:db8::1", family: 6 },
  ]);
  expect(names.asked).toEqual([]);
});

it("a server that does not answer keeps nobody waiting: any number can be cancelled, others are answered", async () => {
  await using names = await nameServer();
  const abort = new AbortController();
  const silent = Promise.allSettled(
    Array.from({ length: 64 }, (_, index) => names.resolve(`silent-${index}.example`, abort.signal)),
  );
  await expect.poll(() => names.asked.length).toBeGreaterThanOrEqual(64);
  expect(await names.resolve("known.example", never)).toHaveLength(2);
  abort.abort(new Error("given up"));
  for (const end of await silent) expect(end).toMatchObject({ reason: { message: "given up" } });
});
