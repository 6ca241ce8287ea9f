import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { CommandFailed } from "./run-command.ts";
import { unpackDebian } from "./unpack-debian.ts";

const PASSWORD = "pass-of-the-proxy";

test("reaches mirrors the machine's way, whose password no argument names", async () => {
  const directory = await mkdtemp(join(tmpdir(), "atoll-unpack-"));
  const asked: string[] = [];
  const seenIn: string[] = [];
  const proxy = createServer(async (request, response) => {
    asked.push(`${request.headers["proxy-authorization"]} ${request.url}`);
    // While apt waits for its answer, everything that works for it runs.
    seenIn.push(...(await processesNaming(PASSWORD)));
    response.writeHead(404).end();
  }).listen(0, "127.0.0.1");
  await once(proxy, "listening");
  const { port } = proxy.address() as AddressInfo;
  try {
    const unpacked = unpackDebian({
      ...{ root: join(directory, "root"), suite: "trixie", components: ["main"], packages: ["hello"] },
      ...{ variant: "extract", env: { TMPDIR: directory } },
      apt: {
        ...{
          archiveUri: "http://mirror.test/debian/",
          securityUri: undefined,
          hasUpdatesSuite: false,
          options: [],
        },
        fetchOptions: [`Acquire::http::Proxy "http://user:${PASSWORD}@127.0.0.1:${port}";`],
      },
    });
    await expect(unpacked).rejects.toThrow(CommandFailed);
    const login = Buffer.from(`user:${PASSWORD}`).toString("base64");
    expect(asked).toContain(`Basic ${login} http://mirror.test/debian/dists/trixie/InRelease`);
    expect(seenIn).toEqual([]);
  } finally {
    proxy.close();
    await rm(directory, { recursive: true, force: true });
  }
});

async function processesNaming(text: string): Promise<string[]> {
  const found: string[] = [];
  for (const pid of (await readdir("/proc")).filter((name) => /^\d+$/.test(name))) {
    const words = await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "");
    if (words.includes(text)) found.push(words);
  }
  return found;
}
