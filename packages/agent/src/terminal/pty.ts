import { readSync, writeSync } from "node:fs";
import { constants } from "node:os";
import { ReadStream } from "node:tty";
import type { Clock } from "@atoll/base/clock";
import { hasErrno } from "../system/has-errno.ts";
import { ptyBinding } from "./pty-binding.ts";

/** A background program may keep the terminal open after its shell ended; what it still says in this time is kept. */
const AFTER_EXIT_MS = 250;
/** What one read of a terminal gives at most, however much waits. */
const PTY_READ_BYTES = 4095;
/** More than the kernel keeps of a terminal's output: 64 KiB on its way and 4 KiB to be read. */
const KERNEL_MAX_BYTES = 128 * 1024;
/** A read of this size is no echo and no prompt: more follows, and is read together after a moment. */
const FLOOD_BYTES = 2048;
const GATHER_MS = 2;
const BUFFER_BYTES = 64 * 1024;
/** How many inputs go by after one whose echo was not there at once, before that is tried again. A miss costs an exception. */
const KEYS_WITHOUT_LOOK = 32;
/** Input a program does not read is offered again at these growing intervals, and whenever it writes something. */
const INPUT_RETRY_MIN_MS = 5;
const INPUT_RETRY_MAX_MS = 500;

export interface PtyExit {
  exitCode: number | null;
  signal: string | null;
}

export interface PtyOptions {
  argv: readonly string[];
  env: Record<string, string>;
  cwd: string;
  cols: number;
  rows: number;
  uid: number;
  gid: number;
  clock: Clock;
  /** `bytes` are valid during the call only. */
  onOutput: (bytes: Uint8Array) => void;
  /** Once, after the last output. */
  onExit: (exit: PtyExit) => void;
}

/** One program on a pseudo terminal of its own, bytes as they are. */
export class Pty {
  readonly pid: number;
  readonly #fd: number;
  readonly #clock: Clock;
  readonly #onExit: (exit: PtyExit) => void;
  readonly #onOutput: (bytes: Uint8Array) => void;
  readonly #output: ReadStream;
  readonly #buffer = Buffer.allocUnsafeSlow(BUFFER_BYTES);
  #isPaused = false;
  #cancelGather: (() => void) | undefined;
  #exit: PtyExit | undefined;
  #cancelDrain: (() => void) | undefined;
  #pending: { bytes: Uint8Array; done: () => void } | undefined;
  #retryMs = INPUT_RETRY_MIN_MS;
  #keysUntilLook = 0;
  #cancelRetry: (() => void) | undefined;

  /** @throws Error when the kernel has no terminal or process to give. A program that cannot be run exits at once. */
  constructor(options: PtyOptions) {
    const [file = "", ...args] = options.argv;
    const env = Object.entries({ ...options.env, PWD: options.cwd }).map(([key, value]) => `${key}=${value}`);
    const { cwd, cols, rows, uid, gid } = options;
    const child = ptyBinding().fork(
      file,
      args,
      env,
      cwd,
      cols,
      rows,
      uid,
      gid,
      true,
      "",
      (exitCode, signal) => this.#onChildExit(exitCode, signal),
    );
    this.pid = child.pid;
    this.#fd = child.fd;
    this.#clock = options.clock;
    this.#onExit = options.onExit;
    this.#onOutput = options.onOutput;
    this.#output = new ReadStream(child.fd, {
      // Read into one buffer; the listener copies what it keeps.
      onread: { buffer: this.#buffer, callback: (count) => this.#onRead(count) },
    });
    this.#output.resume();
    // EIO is how Linux says that the last program closed the terminal.
    this.#output.on("error", () => this.#output.destroy());
    this.#output.on("end", () => this.#onHangUp());
    this.#output.on("close", () => this.#onOutputClosed());
  }

  /**
   * Undefined: the terminal took all of it at once. Else resolves when it did; one write at a time. Input to an ended
   * program is dropped.
   */
  write(bytes: Uint8Array): Promise<void> | undefined {
    if (this.#output.destroyed || bytes.length === 0) return undefined;
    const count = this.#writeSome(bytes);
    if (count === bytes.length) {
      this.#readEcho();
      return undefined;
    }
    return new Promise((done) => {
      this.#pending = { bytes: bytes.subarray(count), done };
      this.#retryMs = INPUT_RETRY_MIN_MS;
      this.#offerInput();
    });
  }

  /**
   * The kernel's own echo is mostly there when the write returns; a turn of the event loop later costs as much as all
   * the rest of a key's way. Where it was not, a program answers in its own time, and the next keys do not look.
   */
  #readEcho(): void {
    if (this.#keysUntilLook > 0) {
      this.#keysUntilLook--;
      return;
    }
    if (this.#isPaused || this.#cancelGather !== undefined || this.#exit !== undefined) return;
    const count = this.#readAll();
    if (count > 0) this.#deliver(count);
    else this.#keysUntilLook = KEYS_WITHOUT_LOOK;
  }

  resize(cols: number, rows: number): void {
    if (!this.#output.destroyed) ptyBinding().resize(this.#fd, cols, rows);
  }

  pause(): void {
    if (this.#exit !== undefined) return;
    this.#isPaused = true;
    this.#output.pause();
  }

  resume(): void {
    this.#isPaused = false;
    // While output gathers, the end of that reads on.
    if (this.#cancelGather === undefined) this.#output.resume();
  }

  /** Hangs up: the programs get SIGHUP from the kernel, the shell's group gets SIGKILL when it did not go. */
  close(): void {
    this.#signalGroup("SIGHUP");
    this.#output.destroy();
    const cancel = this.#clock.schedule(2000, () => {
      if (this.#exit === undefined) this.#signalGroup("SIGKILL");
    });
    if (this.#exit !== undefined) cancel();
  }

  #signalGroup(signal: NodeJS.Signals): void {
    if (this.#exit !== undefined) return;
    try {
      process.kill(-this.pid, signal);
    } catch {
      // The last of the group went by itself.
    }
  }

  /** A lone small read goes on at once. Returns false when more is coming fast, so that it is gathered. */
  #onRead(count: number): boolean {
    this.#deliver(count);
    if (this.#isPaused) return false;
    if (count < FLOOD_BYTES || this.#exit !== undefined) return true;
    this.#cancelGather = this.#clock.schedule(GATHER_MS, () => this.#takeGathered());
    return false;
  }

  #takeGathered(): void {
    this.#cancelGather = undefined;
    if (this.#isPaused || this.#output.destroyed) return;
    const count = this.#readAll();
    if (count > 0) this.#deliver(count);
    if (count < FLOOD_BYTES || this.#exit !== undefined) this.#output.resume();
    else this.#cancelGather = this.#clock.schedule(GATHER_MS, () => this.#takeGathered());
  }

  /** What lies in the kernel, up to the buffer's size. */
  #readAll(): number {
    let total = 0;
    try {
      for (let count = PTY_READ_BYTES; count === PTY_READ_BYTES && total < BUFFER_BYTES; total += count) {
        count = readSync(this.#fd, this.#buffer, total, Math.min(PTY_READ_BYTES, BUFFER_BYTES - total), null);
      }
    } catch {
      // Nothing more now, or the end: the stream that reads on after this sees which.
    }
    return total;
  }

  /**
   * libuv before 1.52 takes a hang-up for the end as soon as a read did not fill its buffer, and no read of a terminal
   * does: more may lie in the kernel.
   */
  #onHangUp(): void {
    let leftBytes = KERNEL_MAX_BYTES;
    for (let count = this.#readAll(); count > 0; count = this.#readAll()) {
      this.#deliver(count);
      leftBytes -= count;
      // Nobody can write any more, except who opens the terminal again by its name.
      if (leftBytes <= 0) break;
    }
    this.#output.destroy();
  }

  #deliver(count: number): void {
    this.#onOutput(this.#buffer.subarray(0, count));
    if (this.#pending) this.#offerInput();
    if (this.#exit) this.#awaitDrain();
  }

  #offerInput(): void {
    this.#cancelRetry?.();
    this.#cancelRetry = undefined;
    const pending = this.#pending;
    if (pending === undefined) return;
    while (!this.#output.destroyed && pending.bytes.length > 0) {
      const count = this.#writeSome(pending.bytes);
      if (count === 0) {
        this.#cancelRetry = this.#clock.schedule(this.#retryMs, () => this.#offerInput());
        this.#retryMs = Math.min(this.#retryMs * 2, INPUT_RETRY_MAX_MS);
        return;
      }
      pending.bytes = pending.bytes.subarray(count);
      this.#retryMs = INPUT_RETRY_MIN_MS;
    }
    this.#pending = undefined;
    pending.done();
  }

  /**
   * Straight to the non-blocking descriptor: libuv would spin on a terminal whose program reads nothing. Only while
   * the stream lives: afterwards the number may be another file's.
   */
  #writeSome(bytes: Uint8Array): number {
    try {
      return writeSync(this.#fd, bytes);
    } catch (cause) {
      if (hasErrno(cause, "EAGAIN")) return 0;
      return bytes.length;
    }
  }

  #onChildExit(exitCode: number, signal: number): void {
    const name = Object.entries(constants.signals).find(([, number]) => number === signal)?.[0];
    this.#exit = { exitCode: signal === 0 ? exitCode : null, signal: name ?? null };
    if (this.#output.closed) this.#finish();
    else {
      this.#isPaused = false;
      this.#cancelGather?.();
      this.#cancelGather = undefined;
      // Whatever the viewers do, the rest of the output is read now: it is at most the kernel's buffer.
      this.#output.resume();
      this.#awaitDrain();
    }
  }

  #awaitDrain(): void {
    this.#cancelDrain?.();
    this.#cancelDrain = this.#clock.schedule(AFTER_EXIT_MS, () => {
      // The moment may have passed while this thread was busy, with output unread.
      const count = this.#readAll();
      if (count > 0) this.#deliver(count);
      else this.#output.destroy();
    });
  }

  #onOutputClosed(): void {
    this.#cancelDrain?.();
    this.#cancelGather?.();
    this.#cancelRetry?.();
    this.#offerInput();
    if (this.#exit) this.#finish();
  }

  #finish(): void {
    this.#onExit(this.#exit as PtyExit);
  }
}
