#!/usr/bin/env node
/**
 * Speaks the schema engine's protocol (JSON-RPC, one message a line, on stdin and stdout) to the Prisma CLI,
 * and answers with the engine's own WebAssembly build over the `pg` driver. Prisma's native engine is a
 * download outside of npm; this keeps `prisma migrate` working where only the package registry is reachable.
 * Not used when PRISMA_SCHEMA_ENGINE_BINARY names a native engine.
 */
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { PrismaPg } from "@prisma/adapter-pg";
import { bindMigrationAwareSqlAdapterFactory } from "@prisma/driver-adapter-utils";
import * as wasmGlue from "@prisma/schema-engine-wasm/schema_engine_bg";
import pg from "pg";
import { parse as parseConnectionString } from "pg-connection-string";

const MAINTENANCE_DATABASE = "postgres";
const PG_CHAR_OID = 18;
const PG_TEXT_OID = 25;
/** `ColumnTypeEnum.Character` of driver-adapter-utils. */
const CHARACTER_COLUMN = 6;
const RPC_ENGINE_ERROR = 4466;
/** SQLSTATE or system error → the code under which Prisma explains the fault. */
const PRISMA_CODES = { "3D000": "P1003", "28P01": "P1000", ECONNREFUSED: "P1001", ENOENT: "P1001" };

const arguments_ = readArguments(process.argv.slice(2));
let databaseUrl = arguments_.datasource.url;
/** Set by the engine's Rust panic hook; the only place its message can be read from. */
const panic = {
  message: "",
  set_message(text) {
    this.message = text;
  },
};
globalThis.PRISMA_WASM_PANIC_REGISTRY = panic;
/** Shadow databases not yet dropped: a failing command must not leave them behind. */
const shadowDatabases = new Set();
let engine;

process.on("uncaughtException", (error) => {
  logFault(panic.message || String(error));
  process.exit(101);
});

if (arguments_.version) {
  const manifest = new URL("./package.json", import.meta.resolve("@prisma/schema-engine-wasm"));
  console.log(`schema-engine-cli ${JSON.parse(readFileSync(manifest, "utf8")).version} (wasm)`);
} else if (arguments_.command) {
  process.exitCode = await runCommand(arguments_.command);
} else {
  await serve();
}

function readArguments(argv) {
  const found = { version: false, command: undefined, datamodels: [], datasource: {} };
  for (let index = 0; index < argv.length; index += 1) {
    const name = argv[index];
    if (name === "--version") found.version = true;
    else if (name === "cli") found.command = argv[++index];
    else if (name === "--datamodels" || name === "-d") found.datamodels.push(argv[++index]);
    else if (name === "--datasource") found.datasource = JSON.parse(argv[++index]);
  }
  return found;
}

/** The engine's `cli` form: one question, answered by the exit code and, on failure, one log line. */
async function runCommand(command) {
  try {
    if (command === "can-connect-to-database") await withClient(databaseUrl, () => {});
    else if (command === "create-database") await createDatabase(databaseUrl);
    else throw new Error(`unknown schema engine command: ${command}`);
    return 0;
  } catch (error) {
    logFault(error.message, PRISMA_CODES[error.code]);
    return 1;
  }
}

/** Requests are answered strictly one after the other: the engine is not re-entrant. */
async function serve() {
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    const request = JSON.parse(line);
    if (request.method) await answer(request);
  }
  // The engine's connections would keep the process alive after the CLI has closed our input.
  process.exit(0);
}

async function answer({ id, method, params }) {
  try {
    if (method === "createDatabase") {
      await createDatabase(databaseUrl);
      reply({ id, result: { databaseName: splitUrl(databaseUrl).database } });
      return;
    }
    if (method === "diff") await avoidMissingDatabase();
    engine ??= await openEngine();
    const result = await engine[method === "getDatabaseVersion" ? "version" : method](params);
    if (method === "diff" && result?.stdout) {
      // The native engine prints through a request of its own and returns only the exit code.
      reply({ id: `print-${id}`, method: "print", params: { content: result.stdout } });
      reply({ id, result: { exitCode: result.exitCode, stdout: null } });
      return;
    }
    reply({ id, result: result ?? {} });
  } catch (error) {
    for (const drop of shadowDatabases) await drop().catch(() => {});
    const code = /^P\d{4}$/.test(error.code ?? "") ? error.code : undefined;
    const message = panic.message || error.message;
    const data = { is_panic: panic.message !== "", message, error_code: code, meta: error.meta };
    reply({ id, error: { code: RPC_ENGINE_ERROR, message: error.message, data } });
  }
}

async function openEngine() {
  const wasmPath = createRequire(import.meta.url).resolve("@prisma/schema-engine-wasm/schema_engine_bg");
  const module = await WebAssembly.compile(readFileSync(wasmPath.replace(/\.js$/, ".wasm")));
  const instance = await WebAssembly.instantiate(module, { "./schema_engine_bg.js": wasmGlue });
  wasmGlue.__wbg_set_wasm(instance.exports);
  instance.exports.__wbindgen_start();

  const { schema } = splitUrl(databaseUrl);
  const connection = connectionOf(databaseUrl);
  const adapterFactory = new PrismaPg({ ...connection, max: 2 }, { schema });
  adapterFactory.connectToShadowDb = () => connectToShadowDatabase(connection, schema);
  const first = await adapterFactory.connect();
  repairAdapter(first);
  await first.dispose();

  const datamodels = arguments_.datamodels.map((path) => [path, readFileSync(path, "utf8")]);
  const ignoreTrace = () => {};
  const options = { datamodels: datamodels.length > 0 ? datamodels : undefined };
  return wasmGlue.SchemaEngine.new(options, ignoreTrace, bindMigrationAwareSqlAdapterFactory(adapterFactory));
}

/**
 * Two faults of adapter-pg 7.10, repaired on the prototypes that all its connections share: it cannot type the
 * catalog's "char" columns (prisma/orm#27403), and it cuts scripts at every `;`, also inside a `$$` body.
 */
function repairAdapter(adapter) {
  const adapterPrototype = Object.getPrototypeOf(adapter);
  const queryable = Object.getPrototypeOf(adapterPrototype);
  const { performIO, queryRaw } = queryable;
  const charColumns = new WeakMap();

  queryable.performIO = async function (query) {
    const result = await performIO.call(this, query);
    const indexes = [];
    for (const [index, field] of (result.fields ?? []).entries()) {
      if (field.dataTypeID !== PG_CHAR_OID) continue;
      field.dataTypeID = PG_TEXT_OID;
      indexes.push(index);
    }
    charColumns.set(query, indexes);
    return result;
  };
  queryable.queryRaw = async function (query) {
    const result = await queryRaw.call(this, query);
    for (const index of charColumns.get(query) ?? []) result.columnTypes[index] = CHARACTER_COLUMN;
    return result;
  };
  adapterPrototype.executeScript = async function (script) {
    try {
      await this.client.query(script);
    } catch (error) {
      this.onError(error);
    }
  };
}

/** adapter-pg would drop the shadow database while its own session is still open in it. */
async function connectToShadowDatabase(connection, schema) {
  const name = `prisma_migrate_shadow_db_${randomUUID()}`;
  await withClient(connection, (client) => client.query(`CREATE DATABASE ${pg.escapeIdentifier(name)}`));
  const adapter = await new PrismaPg({ ...connection, database: name, max: 2 }, { schema }).connect();
  const closeSession = adapter.dispose.bind(adapter);
  adapter.dispose = async () => {
    shadowDatabases.delete(adapter.dispose);
    await closeSession();
    const drop = `DROP DATABASE IF EXISTS ${pg.escapeIdentifier(name)} WITH (FORCE)`;
    await withClient(connection, (client) => client.query(drop));
  };
  shadowDatabases.add(adapter.dispose);
  return adapter;
}

async function createDatabase(url) {
  const { database } = splitUrl(url);
  await withClient(connectionOf(url, MAINTENANCE_DATABASE), async (client) => {
    const existing = await client.query("SELECT 1 FROM pg_database WHERE datname = $1", [database]);
    if (existing.rowCount === 0) await client.query(`CREATE DATABASE ${pg.escapeIdentifier(database)}`);
  });
}

/** `diff` may run before the database exists; its shadow database then hangs off the maintenance database. */
async function avoidMissingDatabase() {
  try {
    await withClient(databaseUrl, () => {});
  } catch (error) {
    if (error.code !== "3D000") throw error;
    const url = new URL(databaseUrl);
    url.pathname = `/${MAINTENANCE_DATABASE}`;
    databaseUrl = url.toString();
  }
}

async function withClient(target, use) {
  const client = new pg.Client(typeof target === "string" ? connectionOf(target) : target);
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

/** Separate fields, not one string: adapter-pg replaces `database`, and a connection string would win over it. */
function connectionOf(url, database) {
  const plain = new URL(url);
  plain.searchParams.delete("schema");
  return { ...parseConnectionString(plain.toString()), ...(database ? { database } : {}) };
}

function splitUrl(url) {
  const { pathname, searchParams } = new URL(url);
  return {
    database: decodeURIComponent(pathname.slice(1)) || MAINTENANCE_DATABASE,
    schema: searchParams.get("schema") ?? "public",
  };
}

function reply(message) {
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", ...message })}\n`);
}

function logFault(message, code) {
  const fields = { message, ...(code ? { error_code: code } : {}) };
  const entry = {
    timestamp: new Date().toISOString(),
    level: "ERROR",
    fields,
    target: "schema_engine::logger",
  };
  process.stderr.write(`\n${JSON.stringify(entry)}\n`);
}
