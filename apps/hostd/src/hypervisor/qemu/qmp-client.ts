/**
 * QEMU's monitor protocol over a Unix socket: one JSON object per line. Commands are answered in order of their ids;
 * events arrive between them. Every reply is parsed by the caller's schema.
 */
import { createConnection, type Socket } from "node:net";
import { type Clock, systemClock } from "@atoll/base/clock";
import { type Deferred, deferred } from "@atoll/base/deferred";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError } from "@atoll/protocol/atoll-error";
import { z } from "zod";

const message = z.union([
  z.object({ return: z.unknown(), id: z.number() }),
  z.object({ error: z.object({ class: z.string(), desc: z.string() }), id: z.number().optional() }),
  z.object({ event: z.string(), data: z.record(z.string(), z.unknown()).optional() }),
  z.object({ QMP: z.unknown() }),
]);

export interface QmpEvent {
  event: string;
  data: Record<string, unknown>;
}

/** The longest reply used is a few KB; a monitor that sends more is broken. */
const LINE_MAX_BYTES = 1024 * 1024;
const DEFAULT_TIMEOUT_MS = 10_000;

interface CommandOptions {
  timeoutMs?: number;
  signal?: AbortSignal | undefined;
}

export class QmpClient {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #pending = new Map<number, Deferred<unknown>>();
  readonly #listeners = new Set<(event: QmpEvent) => void>();
  readonly #greeting = deferred<void>();
  readonly #closed = deferred<void>();
  #partial = "";
  #nextId = 1;

  private constructor(socket: Socket, clock: Clock) {
    this.#socket = socket;
    this.#clock = clock;
    socket.setEncoding("utf8");
    socket.on("data", (text: string) => this.#onText(text));
    socket.on("error", () => {});
    socket.on("close", () => this.#onClose());
  }

  /** Connects to a monitor that already listens, and negotiates. */
  static async connect(
    path: string,
    options: { timeoutMs: number; signal?: AbortSignal | undefined; clock?: Clock },
  ): Promise<QmpClient> {
    options.signal?.throwIfAborted();
    const socket = createConnection(path);
    const client = new QmpClient(socket, options.clock ?? systemClock);
    try {
      // A refused connection closes the socket, which ends the wait for the greeting too.
      await withDeadline(client.#greeting.promise, {
        ...options,
        clock: client.#clock,
        onTimeout: () => new AtollError("vm.monitor_failed", "the monitor did not greet"),
      });
      await client.execute("qmp_capabilities", {}, z.unknown(), options);
      return client;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  /** Resolves when the connection is gone. */
  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  /** @throws AtollError vm.monitor_failed (refused or unreadable), vm.gone, or the signal's reason. */
  async execute<S extends z.ZodType>(
    command: string,
    parameters: Record<string, unknown>,
    schema: S,
    options: CommandOptions = {},
  ): Promise<z.output<S>> {
    if (this.#socket.destroyed) throw new AtollError("vm.gone", `${command}: the monitor is gone`);
    const id = this.#nextId++;
    const answer = deferred<unknown>();
    this.#pending.set(id, answer);
    this.#socket.write(`${JSON.stringify({ execute: command, arguments: parameters, id })}\n`);
    try {
      const value = await withDeadline(answer.promise, {
        timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
        clock: this.#clock,
        signal: options.signal,
        onTimeout: () => new AtollError("vm.monitor_failed", `${command} got no answer`),
      });
      const parsed = schema.safeParse(value);
      if (parsed.success) return parsed.data;
      throw new AtollError("vm.monitor_failed", `${command} answered out of shape`, { cause: parsed.error });
    } finally {
      this.#pending.delete(id);
    }
  }

  /** The returned function stops it. */
  onEvent(listener: (event: QmpEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  close(): void {
    this.#socket.destroy();
  }

  #onText(text: string): void {
    const lines = (this.#partial + text).split("\n");
    this.#partial = lines.pop() ?? "";
    if (this.#partial.length > LINE_MAX_BYTES) return void this.#socket.destroy();
    for (const line of lines) if (line.trim() !== "") this.#onLine(line);
  }

  #onLine(line: string): void {
    let value: unknown;
    try {
      value = JSON.parse(line);
    } catch {
      return void this.#socket.destroy();
    }
    const parsed = message.safeParse(value);
    if (!parsed.success) return void this.#socket.destroy();
    const { data } = parsed;
    if ("QMP" in data) this.#greeting.resolve();
    else if ("event" in data) {
      for (const listener of [...this.#listeners]) listener({ event: data.event, data: data.data ?? {} });
    } else if ("error" in data) {
      // An error without an id answers a line QEMU could not parse; nothing waits for it by number.
      const text = `${data.error.class}: ${data.error.desc}`;
      this.#pending.get(data.id ?? -1)?.reject(new AtollError("vm.monitor_failed", text));
    } else this.#pending.get(data.id)?.resolve(data.return);
  }

  #onClose(): void {
    const error = new AtollError("vm.gone", "the monitor closed");
    this.#greeting.reject(error);
    for (const pending of this.#pending.values()) pending.reject(error);
    this.#pending.clear();
    this.#closed.resolve();
  }
}
