import { spawnSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { importSigningKey } from "@atoll/receipt/receipt-key";
import { signReceipt } from "@atoll/receipt/sign-receipt";
import { makeKeyPems, sampleReceipt } from "@atoll/receipt/testing/sample-receipt";
import { afterAll, beforeAll, expect, test } from "vitest";

const entry = join(import.meta.dirname, "..", "bin", "atoll.mjs");
/** Fetching, or opening any socket, ends the process: it must not be needed. */
const OFFLINE = `data:text/javascript,${encodeURIComponent(`
  import net from "node:net"; import dns from "node:dns";
  const refuse = () => { process.stderr.write("network was used"); process.exit(77); };
  globalThis.fetch = refuse; net.Socket.prototype.connect = refuse; dns.lookup = refuse;
`)}`;

const atoll = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, ["--import", OFFLINE, entry, ...args], {
    encoding: "utf8",
  });
  return { status, stdout, stderr };
};

let directory: string;
const at = (name: string) => join(directory, name);
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "atoll-cli-"));
  const [pems, otherPems] = [await makeKeyPems(), await makeKeyPems()];
  const key = await importSigningKey(pems);
  const text = await signReceipt(sampleReceipt(key.publicKey.keyId), key);
  await writeFile(at("receipt.json"), text);
  await writeFile(at("tampered.json"), text.replace('"issuedAtMs": 3000', '"issuedAtMs": 3001'));
  await writeFile(at("cut.json"), text.slice(0, 100));
  await writeFile(at("key.pem"), pems.publicPem);
  await writeFile(at("other.pem"), otherPems.publicPem);
});
afterAll(() => rm(directory, { recursive: true }));

test("a receipt that holds ends with 0 and says what it states and what it cannot prove", () => {
  const { status, stdout } = atoll("verify-receipt", at("receipt.json"), "--key", at("key.pem"));
  expect(status).toBe(0);
  expect(stdout).toContain("This receipt holds");
  expect(stdout).toContain("signed with the key you gave");
  expect(stdout).toContain("cannot prove");
});

test("without a key it says that anybody could have signed it", () => {
  const { status, stdout } = atoll("verify-receipt", at("receipt.json"));
  expect(status).toBe(0);
  expect(stdout).toContain("anybody could have made that key");
});

test.each([
  ["tampered.json", [], "signature"],
  ["cut.json", [], "unreadable"],
  ["receipt.json", ["--key", "other.pem"], "issuer"],
])("%s %j does not hold: 1, with the reason", (file, extra, reason) => {
  const [option, name] = extra;
  const args = option === undefined || name === undefined ? [] : [option, at(name)];
  const { status, stdout } = atoll("verify-receipt", at(file), ...args);
  expect(status).toBe(1);
  expect(stdout).toContain(`receipt.invalid: ${reason}`);
});

test.each([
  [[]],
  [["destroy"]],
  [["verify-receipt"]],
  [["verify-receipt", "a", "b"]],
  [["verify-receipt", "--kee", "x"]],
  [["verify-receipt", "/nowhere/receipt.json"]],
])("%j cannot be tried: 2, on the error stream", (args) => {
  const { status, stdout, stderr } = atoll(...args);
  expect(status).toBe(2);
  expect(stdout).toBe("");
  expect(stderr).toContain("atoll");
});

test("a key file that is none cannot be tried", () => {
  expect(atoll("verify-receipt", at("receipt.json"), "--key", at("receipt.json")).status).toBe(2);
});

test.each([[["--help"]], [["verify-receipt", "--help"]]])("%j tells how", (args) => {
  const { status, stdout } = atoll(...args);
  expect(status).toBe(0);
  expect(stdout).toContain("Usage: atoll");
});
