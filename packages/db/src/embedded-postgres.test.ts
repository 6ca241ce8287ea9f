import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pg from "pg";
import { afterEach, expect, it, vi } from "vitest";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "./embedded-postgres.ts";

const ownerPassword = "a password with / and ' in it";
const cleanups: Array<() => unknown> = [];

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

function temporaryDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), "atoll-pg-"));
  chmodSync(directory, 0o711);
  cleanups.push(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

async function start(directory: string): Promise<EmbeddedPostgres> {
  const server = await startEmbeddedPostgres({ directory, ownerPassword, durable: false });
  cleanups.push(() => server.stop().catch(() => {}));
  return server;
}

async function query(server: EmbeddedPostgres, sql: string, password = ownerPassword): Promise<unknown[]> {
  const url = server.url({ user: "postgres", password, database: "postgres" });
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

it("keeps its data over a restart, and is adopted when it already runs", async () => {
  const directory = temporaryDirectory();
  const first = await start(directory);
  expect(first.startedNow).toBe(true);
  await query(first, "CREATE TABLE kept AS SELECT 42 AS answer");
  expect((await start(directory)).startedNow).toBe(false);
  await first.stop();
  const second = await start(directory);
  expect(second.startedNow).toBe(true);
  expect(await query(second, "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
});

it("asks for the password, and listens on no network address", async () => {
  const server = await start(temporaryDirectory());
  await expect(query(server, "SELECT 1", "wrong")).rejects.toMatchObject({ code: "28P01" });
  expect(await query(server, "SHOW listen_addresses")).toEqual([{ listen_addresses: "" }]);
});

it("starts again after a kill that left its lock file with the id of another process", async () => {
  const directory = temporaryDirectory();
  const first = await start(directory);
  const lockFile = join(directory, "data", "postmaster.pid");
  const [postmaster, ...rest] = readFileSync(lockFile, "utf8").split("\n");
  await first.stop();
  // As after a reboot: the number now names a live process that is no Postgres.
  writeFileSync(lockFile, [String(process.pid), ...rest].join("\n"));
  expect(Number(postmaster)).not.toBe(process.pid);
  const second = await start(directory);
  expect(await query(second, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
});

it("keeps what it acknowledged when all of it is killed, and does not mind being stopped then", async () => {
  const directory = temporaryDirectory();
  const first = await startEmbeddedPostgres({ directory, ownerPassword });
  await query(first, "CREATE TABLE kept AS SELECT 42 AS answer");
  process.kill(first.pid() ?? Number.NaN, "SIGKILL");
  await first.stop();
  // Its other processes need a moment to see that, and nothing starts beside them.
  const second = await vi.waitUntil(() => start(directory).catch(() => undefined), 20_000);
  expect(second.startedNow).toBe(true);
  expect(await query(second, "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
});

it("begins anew where an interrupted first start left a half-made directory", async () => {
  const directory = temporaryDirectory();
  mkdirSync(join(directory, "data.new"), { mode: 0o700 });
  writeFileSync(join(directory, "data.new", "PG_VERSION"), "18");
  expect((await start(directory)).startedNow).toBe(true);
});

it("leaves nothing readable to others, and the password in no file", async () => {
  const directory = temporaryDirectory();
  await start(directory);
  for (const name of ["data", "socket", "log"])
    expect(statSync(join(directory, name)).mode & 0o777).toBe(0o700);
  expect(existsSync(join(directory, "log", "owner-password"))).toBe(false);
});

it("works below a path too long for a socket", async () => {
  const directory = join(temporaryDirectory(), "a".repeat(60), "b".repeat(60));
  const server = await start(directory);
  expect(await query(server, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  const socketDirectory = new URL(server.url({ user: "u", password: "p", database: "d" })).searchParams.get(
    "host",
  );
  cleanups.unshift(() => rmSync(socketDirectory ?? "", { recursive: true, force: true }));
});
