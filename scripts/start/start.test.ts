import { createPrivateKey, createPublicKey } from "node:crypto";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { lockDataDirectory } from "./data-lock.ts";
import { readEnv } from "./env.ts";
import { makeLayout } from "./layout.ts";
import { assertPortFree } from "./port-owner.ts";
import { identify } from "./process-identity.ts";
import { provideSecrets } from "./secrets.ts";

let data: string;

beforeEach(() => {
  data = mkdtempSync(join(tmpdir(), "atoll-start-"));
  makeLayout(data);
});

afterEach(() => rmSync(data, { recursive: true, force: true }));

const self = identify(process.pid) ?? { pid: 0, startTicks: 0 };
const modeOf = (path: string) => statSync(path).mode & 0o777;

describe("the data directory", () => {
  it("lets other users through and shows them nothing", () => {
    expect(modeOf(data)).toBe(0o711);
    for (const name of readdirSync(data)) expect(modeOf(join(data, name))).toBe(0o700);
  });

  it("belongs to one start at a time, and is free again after it", async () => {
    const first = await lockDataDirectory(data, self);
    await expect(lockDataDirectory(data, self)).rejects.toThrow(new RegExp(`process ${process.pid}, since`));
    await first[Symbol.asyncDispose]();
    const second = await lockDataDirectory(data, self);
    await second[Symbol.asyncDispose]();
  });
});

describe("secrets", () => {
  it("are made once, belong together, and are readable by the owner alone", async () => {
    const first = await provideSecrets(join(data, "secrets"));
    expect(await provideSecrets(join(data, "secrets"))).toEqual(first);
    const pairs = [
      [first.ticketPrivateKeyFile, first.ticketPublicKeyFile],
      [first.receiptPrivateKeyFile, first.receiptPublicKeyFile],
    ] as const;
    for (const [privateFile, publicFile] of pairs) {
      const derived = createPublicKey(createPrivateKey(readFileSync(privateFile)));
      expect(derived.equals(createPublicKey(readFileSync(publicFile)))).toBe(true);
    }
    for (const name of readdirSync(join(data, "secrets"))) {
      expect(modeOf(join(data, "secrets", name))).toBe(0o600);
    }
  });
});

describe("ports", () => {
  it("that are taken are named with their owner and the variable that moves ours", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as { port: number };
    await expect(assertPortFree(port, "ATOLL_WEB_PORT")).rejects.toMatchObject({
      message: expect.stringContaining(`(process ${process.pid})`),
      remedy: expect.stringContaining("ATOLL_WEB_PORT="),
    });
    await new Promise((resolve) => server.close(resolve));
    await assertPortFree(port, "ATOLL_WEB_PORT");
  });
});

describe("the environment", () => {
  it("has a default for everything but the data directory", () => {
    expect(readEnv({ ATOLL_DATA: "/x" })).toEqual({
      dataDirectory: "/x",
      cacheDirectory: "/x/cache",
      ports: { web: 7700, gateway: 7701, preview: 7702 },
      idlePauseSeconds: 1800,
      databaseOwnerUrl: undefined,
      oidcClientSecret: undefined,
      nativeSchemaEngine: undefined,
    });
  });

  it("reports every fault at once", () => {
    const faulty = { ATOLL_DATA: "/x", ATOLL_WEB_PORT: "80000", ATOLL_IDLE_PAUSE_SECONDS: "soon" };
    expect(() => readEnv(faulty)).toThrow(/ATOLL_WEB_PORT[\s\S]*ATOLL_IDLE_PAUSE_SECONDS/);
    expect(() => readEnv({ ATOLL_DATA: "/x", ATOLL_WEB_PORT: "7701" })).toThrow(/three different ports/);
    const remedy = expect.stringContaining("README.md, Settings");
    expect(() => readEnv(faulty)).toThrow(expect.objectContaining({ remedy }));
  });
});
