/**
 * Puts the file system, disk tools and compression under the world's control, for code that runs in a life; all other
 * code sees the originals. Import this before anything it shall apply to.
 */
import childProcess from "node:child_process";
import crypto from "node:crypto";
import fs, { closeSync, type OpenMode } from "node:fs";
import files from "node:fs/promises";
import { syncBuiltinESMExports } from "node:module";
import { Readable } from "node:stream";
import { promisify } from "node:util";
import zlib from "node:zlib";
import { emptyQcow2 } from "./layer-file.ts";
import { currentLife, type Life } from "./sim-world.ts";

/** The originals, for the harness itself. */
export const hostFiles = { ...files };

const WRITING = new Set(["writeFile", "appendFile", "copyFile", "mkdir", "mkdtemp", "link", "symlink", "cp"]);
const SINGLE = [
  ...["access", "appendFile", "chmod", "chown", "copyFile", "lchown", "link", "lstat", "mkdir", "mkdtemp"],
  ...["readFile", "readdir", "readlink", "realpath", "rename", "rmdir", "stat", "symlink", "truncate"],
  ...["unlink", "utimes", "writeFile", "cp"],
] as const;

const FULL_BLOCKS = 0;

function refuse(life: Life, name: string, path: unknown, isWriting: boolean): void {
  const { faults } = life.world;
  if (faults.brokenPaths.some((broken) => String(path).startsWith(broken))) throw fault("EIO", name, path);
  if (isWriting && faults.diskFull) throw fault("ENOSPC", name, path);
}

function fault(code: string, name: string, path: unknown): Error {
  return Object.assign(new Error(`${code}: ${name} '${String(path)}' (simulated)`), { code });
}

function shortName(path: unknown): string {
  return String(path).split("/").slice(-3).join("/");
}

class SimFile {
  readonly #life: Life;
  readonly #path: string;
  readonly #isNew: boolean;
  readonly fd: number;

  constructor(life: Life, path: string, flags: OpenMode | undefined, mode?: number) {
    this.#life = life;
    this.#path = path;
    this.#isNew = /[wa]/.test(String(flags ?? "r"));
    this.fd = fs.openSync(path, flags ?? "r", mode);
    life.openFiles.add(this.fd);
  }

  read(...args: unknown[]): Promise<unknown> {
    return this.#step("read", false, () => {
      const [first] = args;
      if (ArrayBuffer.isView(first)) {
        const [buffer, offset = 0, length = buffer.byteLength - (offset as number), position = null] =
          args as [Uint8Array, number?, number?, (number | null)?];
        return { bytesRead: fs.readSync(this.fd, buffer, offset, length, position), buffer };
      }
      const {
        buffer,
        offset = 0,
        length = buffer.byteLength - offset,
        position = null,
      } = first as {
        buffer: Uint8Array;
        offset?: number;
        length?: number;
        position?: number | null;
      };
      return { bytesRead: fs.readSync(this.fd, buffer, offset, length, position), buffer };
    });
  }

  write(buffer: Uint8Array, offset = 0, length = buffer.byteLength - offset, position: number | null = null) {
    this.#life.world.checkWritten(this.#path, buffer.subarray(offset, offset + length));
    return this.#step("write", true, () => ({
      bytesWritten: fs.writeSync(this.fd, buffer, offset, length, position),
      buffer,
    }));
  }

  async writeFile(data: string | Uint8Array | AsyncIterable<Uint8Array>): Promise<void> {
    if (typeof data !== "string" && !ArrayBuffer.isView(data)) {
      for await (const piece of data) await this.writeFile(piece);
      return;
    }
    this.#life.world.checkWritten(this.#path, data);
    await this.#step("writeFile", true, () => fs.writeSync(this.fd, data as string));
  }

  appendFile(data: string | Uint8Array): Promise<void> {
    return this.writeFile(data);
  }

  readFile(options?: unknown): Promise<unknown> {
    return this.#step("readFile", false, () => fs.readFileSync(this.fd, options as "utf8"));
  }

  sync(): Promise<void> {
    return this.#step("sync", false, () => {});
  }

  datasync(): Promise<void> {
    return this.sync();
  }

  stat(): Promise<fs.Stats> {
    return this.#step("stat", false, () => fs.fstatSync(this.fd));
  }

  chmod(mode: number): Promise<void> {
    return this.#step("chmod", false, () => fs.fchmodSync(this.fd, mode));
  }

  chown(uid: number, gid: number): Promise<void> {
    return this.#step("chown", false, () => fs.fchownSync(this.fd, uid, gid));
  }

  truncate(size = 0): Promise<void> {
    return this.#step("truncate", false, () => fs.ftruncateSync(this.fd, size));
  }

  createReadStream(options: { highWaterMark?: number; start?: number } = {}): Readable {
    const { highWaterMark = 65_536 } = options;
    const read = async function* (this: SimFile) {
      let position = options.start ?? 0;
      for (;;) {
        const buffer = Buffer.alloc(highWaterMark);
        const { bytesRead } = (await this.read(buffer, 0, highWaterMark, position)) as { bytesRead: number };
        if (bytesRead === 0) return;
        position += bytesRead;
        yield buffer.subarray(0, bytesRead);
      }
    };
    return Readable.from(read.call(this));
  }

  async close(): Promise<void> {
    await this.#step("close", false, () => {
      if (this.#life.openFiles.delete(this.fd)) closeSync(this.fd);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #step<T>(name: string, isWriting: boolean, run: () => T): Promise<T> {
    return this.#life.world.step(this.#life, `${name} ${shortName(this.#path)}`, () => {
      // Overwriting a file in place needs no room.
      refuse(this.#life, name, this.#path, isWriting && this.#isNew);
      return run();
    });
  }
}

/** Deleting a tree is many steps, and a crash may leave any part of it. */
async function removeTree(life: Life, path: string, options: { force?: boolean }): Promise<void> {
  const { world } = life;
  const names = await world.step(life, `rm ${shortName(path)}`, () => {
    refuse(life, "rm", path, false);
    const stat = fs.lstatSync(path, { throwIfNoEntry: false });
    if (stat === undefined && options.force !== true) throw fault("ENOENT", "rm", path);
    if (stat?.isDirectory()) return fs.readdirSync(path);
    if (stat !== undefined) fs.unlinkSync(path);
    return undefined;
  });
  if (names === undefined) return;
  for (const name of names) await removeTree(life, `${path}/${name}`, { force: true });
  await world.step(life, `rmdir ${shortName(path)}`, () => fs.rmdirSync(path));
}

/** What disk tools do, as far as a simulated machine can tell. */
function runTool(argv: readonly string[]): void {
  const tool = argv.find((part) => /(qemu-img|mke2fs)$/.test(part));
  if (tool?.endsWith("mke2fs")) return;
  if (tool !== undefined && argv.includes("create")) {
    const path = argv.at(-2);
    if (path === undefined) throw new Error("no path for the new disk");
    fs.writeFileSync(path, emptyQcow2());
    return;
  }
  throw new Error(`a tool the simulation does not know: ${argv.join(" ")}`);
}

function patch(
  target: object,
  name: string,
  make: (original: (...args: never[]) => unknown) => unknown,
): void {
  const record = target as Record<string, (...args: never[]) => unknown>;
  const original = record[name];
  if (original === undefined) return;
  record[name] = make(original.bind(target)) as (...args: never[]) => unknown;
}

for (const name of SINGLE) {
  patch(files, name, (original) => (...args: never[]) => {
    const life = currentLife();
    if (life === undefined) return original(...args);
    if (name === "writeFile" || name === "appendFile") life.world.checkWritten(String(args[0]), args[1]);
    return life.world.step(
      life,
      `${name} ${shortName(args[name === "rename" || name === "link" ? 1 : 0])}`,
      () => {
        refuse(life, name, args[0], WRITING.has(name));
        if (args.length > 1 && typeof args[1] === "string") refuse(life, name, args[1], WRITING.has(name));
        return (fs as unknown as Record<string, (...args: never[]) => unknown>)[`${name}Sync`]?.(...args);
      },
    );
  });
}
patch(files, "rm", (original) => (...args: never[]) => {
  const life = currentLife();
  if (life === undefined) return original(...args);
  return removeTree(life, String(args[0]), args[1] ?? {});
});
patch(files, "open", (original) => (...args: never[]) => {
  const life = currentLife();
  if (life === undefined) return original(...args);
  const [path, flags, mode] = args as unknown as [string, OpenMode?, number?];
  return life.world.step(life, `open ${shortName(path)} ${String(flags ?? "r")}`, () => {
    refuse(life, "open", path, /[wa]/.test(String(flags ?? "r")));
    return new SimFile(life, path, flags, mode);
  });
});
patch(files, "statfs", (original) => (...args: never[]) => {
  const life = currentLife();
  if (life === undefined) return original(...args);
  return life.world.step(life, "statfs", () => {
    const bavail = life.world.faults.diskFull ? FULL_BLOCKS : 2 ** 32;
    return { ...fs.statfsSync(String(args[0])), bsize: 4096, blocks: 2 ** 33, bavail, bfree: bavail };
  });
});
patch(childProcess, "execFile", (original) => (...args: never[]) => {
  const life = currentLife();
  if (life === undefined) return original(...args);
  const [program, argv] = args as unknown as [string, string[]];
  const answer = args.at(-1) as unknown as (error: Error | null, output: string, complaint: string) => void;
  life.world
    .step(life, `execFile ${argv.find((part) => /(qemu-img|mke2fs)$/.test(part)) ?? program}`, () =>
      runTool(argv),
    )
    .then(
      () => answer(null, "", ""),
      (error: Error) => answer(error, "", error.message),
    );
  return { pid: 1 };
});
for (const name of ["zstdCompress", "zstdDecompress"] as const) {
  const original = zlib[name];
  const patched = (...args: never[]) => {
    const life = currentLife();
    if (life === undefined) return (original as (...args: never[]) => unknown)(...args);
    const answer = args.at(-1) as unknown as (error: Error | null, result?: Buffer) => void;
    const compute = zlib[`${name}Sync`] as (...args: never[]) => Buffer;
    try {
      const result = compute(...(args.slice(0, -1) as never[]));
      queueMicrotask(() => answer(null, result));
    } catch (error) {
      queueMicrotask(() => answer(error as Error));
    }
  };
  Object.defineProperty(patched, promisify.custom, { value: undefined });
  (zlib as unknown as Record<string, unknown>)[name] = patched;
}
{
  const original = crypto.pbkdf2;
  const patched = (...args: never[]) => {
    if (currentLife() === undefined) return (original as (...args: never[]) => unknown)(...args);
    const answer = args.at(-1) as unknown as (error: Error | null, key: Buffer) => void;
    const key = (crypto.pbkdf2Sync as (...args: never[]) => Buffer)(...(args.slice(0, -1) as never[]));
    queueMicrotask(() => answer(null, key));
  };
  (crypto as unknown as Record<string, unknown>).pbkdf2 = patched;
}
patch(crypto, "randomBytes", (original) => (...args: never[]) => {
  const life = currentLife();
  return life === undefined || args.length !== 1
    ? original(...args)
    : life.world.random.bytes(Number(args[0]));
});
patch(crypto, "randomUUID", (original) => (...args: never[]) => {
  const life = currentLife();
  if (life === undefined) return original(...args);
  const bytes = life.world.random.bytes(16);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return bytes.toString("hex").replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
});
syncBuiltinESMExports();
