import { once } from "node:events";
import { createServer, request } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, it } from "vitest";
import { clientAddress, notePeerAddresses } from "./client-address.ts";

/** What a page that got this request would charge. */
async function charged(sent: Record<string, string>, trusted: string[] = []): Promise<string> {
  const addresses: string[] = [];
  const server = createServer((message, response) => {
    addresses.push(clientAddress(new Headers(message.headers as Record<string, string>), new Set(trusted)));
    response.end();
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const outgoing = request({ port, host: "127.0.0.1", headers: sent, agent: false }).end();
  const [answer] = await once(outgoing, "response");
  answer.resume();
  server.close();
  await once(server, "close");
  return addresses[0] ?? "";
}

it("is one for all as long as nobody notes the sockets", () => {
  expect(clientAddress(new Headers({ "x-forwarded-for": "203.0.113.1" }), new Set())).toBe("unknown");
});

it("is the socket's, whatever the client says", async () => {
  notePeerAddresses();
  notePeerAddresses();
  expect(await charged({})).toBe("127.0.0.1");
  const lies = { "x-forwarded-for": "203.0.113.1", "x-real-ip": "203.0.113.2", forwarded: "for=203.0.113.3" };
  expect(await charged(lies)).toBe("127.0.0.1");
  expect(await charged({ ...lies, "x-atoll-peer": "203.0.113.4" }, ["203.0.113.1"])).toBe("127.0.0.1");
});

it("is what the proxies that are trusted say, the nearest first, and nothing a client wrote before them", async () => {
  const proxies = ["127.0.0.1", "198.51.100.1"];
  const behindOne = { "x-forwarded-for": "192.0.2.66, 203.0.113.1" };
  expect(await charged(behindOne, proxies)).toBe("203.0.113.1");
  const behindTwo = { "x-forwarded-for": "192.0.2.66, ::ffff:203.0.113.1, 198.51.100.1" };
  expect(await charged(behindTwo, proxies)).toBe("203.0.113.1");
  expect(await charged({}, proxies)).toBe("127.0.0.1");
  expect(await charged({ "x-forwarded-for": "198.51.100.1" }, proxies)).toBe("198.51.100.1");
});
