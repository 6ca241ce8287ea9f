import type { Duplex } from "node:stream";
import { Dispatcher } from "@atoll/protocol/dispatcher";
import { encodeFrame, FrameKind } from "@atoll/protocol/frame";
import { decodeJson, encodeJson } from "@atoll/protocol/json-payload";
import { FRAME_HEADER_BYTES, STREAMS_PER_LINK } from "@atoll/protocol/limits";
import {
  FIRST_LINK_TOKEN,
  type LinkHello,
  type LinkHelloAnswer,
  linkHello,
} from "@atoll/protocol/link-handshake";
import { corePing, coreQuiesce, coreShutdown, coreThaw } from "@atoll/protocol/messages/core";
import { portsConnect } from "@atoll/protocol/messages/ports";
import { processRun } from "@atoll/protocol/messages/process";
import { Mux } from "@atoll/protocol/mux";

/** Marks the probe's disk commands among those that only count; see guest-probe.ts. */
export const DISK_COMMANDS = {
  writeDisk: "write-disk",
  readDisk: "read-disk",
  writeView: "write-view",
  readView: "read-view",
} as const;

/** Marks the probe's command that resets the guest at once. */
export const RESET_COMMAND = "reset";

/** Marks the probe's command that kills the agent. */
export const END_AGENT_COMMAND = "end-agent";

/** What a guest sees of a disk: named texts instead of blocks. */
export interface FakeGuestDisk {
  read(key: string): string | undefined;
  write(key: string, value: string): void;
}

/** Answer to a read of a disk that changed behind the guest's back: a real one would be corrupted. */
export const TORN_DISK = "torn";
/** How often this disk was written; the guest's memory knows the same number. */
const WRITES = "#writes";

/** The agent's end of the link in memory: the real handshake and mux, with a counter for a process that goes on. */
export class FakeGuest {
  expectedToken = FIRST_LINK_TOKEN;
  hellos: LinkHello[] = [];
  counter = 0;
  isFrozen = false;
  /** What the next handshakes answer; `undefined` answers nothing. */
  answer: Partial<LinkHelloAnswer> | undefined = {};
  /** Hears of every handshake that is answered. */
  onHello: (hello: LinkHello, answer: LinkHelloAnswer) => void = () => {};
  /** It reads what it is told a while after it began to run. */
  isLate = false;
  /** Takes in nothing more, as an agent that stands still. */
  isSilent = false;
  /** What core.quiesce does. */
  quiesce: () => Promise<{ frozen: boolean }> | { frozen: boolean } = () => ({ frozen: true });
  /** Before core.thaw does anything. */
  beforeThaw: () => Promise<void> | void = () => {};
  onShutdown = () => {};
  onReset = () => {};
  onAgentEnd = () => this.restartAgent();
  /** What a command prints before what it reads; the counter stands for the rest of it. */
  run: (argv: readonly string[]) => string = () => "";
  disk: FakeGuestDisk = new MapDisk();
  /** Undefined: the device is empty. */
  view: FakeGuestDisk | undefined;
  /** Writes to the disk since it was made, as this guest's memory has it. */
  diskWrites = 0;
  /** Resolves when the host's disk takes a write. */
  whenWritable: () => Promise<void> | void = () => {};
  /** Resolves while the vCPUs run. */
  whenRunning: () => Promise<void> | void = () => {};
  mux: Mux | undefined;
  #pending = Buffer.alloc(0);
  /** For a test that needs more of a guest. */
  readonly dispatcher = new Dispatcher(() => {});

  constructor() {
    this.dispatcher.onRequest(corePing, () => ({ uptimeMs: 1 }));
    this.dispatcher.onRequest(coreQuiesce, async () => {
      const result = await this.quiesce();
      this.isFrozen = result.frozen;
      return result;
    });
    this.dispatcher.onRequest(coreThaw, async () => {
      await this.beforeThaw();
      this.#thaw();
      return {};
    });
    this.dispatcher.onRequest(coreShutdown, () => {
      queueMicrotask(() => this.onShutdown());
      return {};
    });
    this.dispatcher.onChannel(processRun, async ({ argv }, stream) => {
      await this.whenRunning();
      if (argv[3] === RESET_COMMAND) return this.onReset();
      if (argv[3] === END_AGENT_COMMAND) return this.onAgentEnd();
      const isDiskCommand = Object.values<unknown>(DISK_COMMANDS).includes(argv[3]);
      stream.sendReply({ pid: isDiskCommand ? 1 : 40 + this.counter++ });
      const output = isDiskCommand ? await this.#diskCommand(argv.slice(3)) : this.run(argv);
      if (output !== "") await stream.write(Buffer.from(output));
      for await (const item of stream) if (item.kind === "data") await stream.write(item.bytes);
      await stream.sendEvent({ type: "exit", exitCode: 0, signal: null, isTimedOut: false });
    });
    this.dispatcher.onChannel(portsConnect, async (_params, stream) => {
      stream.sendReply({});
      for await (const item of stream) if (item.kind === "data") await stream.write(item.bytes);
    });
  }

  /** The disk is mounted: from here on nobody else may change it. */
  mount(): void {
    this.diskWrites = Number(this.disk.read(WRITES) ?? 0);
  }

  /** The guest's init starts it again: it waits for the first token, and what ran goes on. */
  restartAgent(): void {
    this.expectedToken = FIRST_LINK_TOKEN;
    this.mux = undefined;
  }

  /** A stream the host just opened. Replaces the one before. */
  attach(duplex: Duplex): void {
    this.mux = undefined;
    this.#pending = Buffer.alloc(0);
    duplex.on("error", () => {});
    duplex.on("data", (chunk: Buffer) => this.#receive(duplex, chunk));
  }

  #receive(duplex: Duplex, chunk: Buffer): void {
    if (this.isSilent) return;
    this.#pending = Buffer.concat([this.#pending, chunk]);
    const token = Buffer.from(this.expectedToken, "hex");
    const at = this.#pending.indexOf(token);
    if (at === -1) {
      if (this.mux !== undefined) {
        const bytes = this.#pending;
        this.#pending = Buffer.alloc(0);
        this.mux.receive(bytes);
      }
      return;
    }
    const frame = this.#pending.subarray(at + token.length);
    if (frame.length < FRAME_HEADER_BYTES) return;
    const end = FRAME_HEADER_BYTES + frame.readUInt16BE(2);
    if (frame.length < end) return;
    const hello = linkHello.parse(decodeJson(frame.subarray(FRAME_HEADER_BYTES, end)));
    this.#pending = Buffer.from(frame.subarray(end));
    this.#helloReceived(duplex, hello);
  }

  #thaw(): void {
    this.isFrozen = false;
    for (const resolve of this.#waitingForThaw.splice(0)) resolve();
  }
  readonly #waitingForThaw: (() => void)[] = [];

  /** What a probe's disk command prints. */
  async #diskCommand([name, key = "", value = ""]: string[]): Promise<string> {
    if (name === DISK_COMMANDS.writeDisk) {
      while (this.isFrozen) {
        await new Promise<void>((resolve) => this.#waitingForThaw.push(resolve));
        await this.whenRunning();
      }
      if (this.#isTorn) return TORN_DISK;
      await this.whenWritable();
      this.diskWrites++;
      this.disk.write(WRITES, String(this.diskWrites));
      this.disk.write(key, value);
      return "";
    }
    if (name === DISK_COMMANDS.readDisk) return this.#isTorn ? TORN_DISK : (this.disk.read(key) ?? "");
    if (name === DISK_COMMANDS.readView) return this.view?.read(key) ?? "";
    this.view?.write(key, value);
    return "";
  }

  get #isTorn(): boolean {
    return Number(this.disk.read(WRITES) ?? 0) !== this.diskWrites;
  }

  #helloReceived(duplex: Duplex, hello: LinkHello): void {
    this.hellos.push(hello);
    if (this.answer === undefined) return;
    this.expectedToken = hello.linkToken;
    const waits = this.isLate && hello.holds === true;
    if (!waits) this.#thaw();
    const answer: LinkHelloAnswer = {
      type: "agent",
      generation: 1,
      agentVersion: "fake",
      bootId: "boot",
      isReseeded: true,
      clockOffsetMs: 3,
      ...(waits ? {} : { isThawed: true }),
      ...this.answer,
    };
    this.onHello(hello, answer);
    const payload = encodeJson(answer);
    // Rubbish first: the rest of an earlier life.
    duplex.write(Buffer.from("left over from before"));
    duplex.write(
      Buffer.concat([
        Buffer.from(hello.nonce, "hex"),
        encodeFrame({ kind: FrameKind.hello, flags: 0, streamId: 0, payload }),
      ]),
    );
    const mux = new Mux({
      side: "server",
      maxStreams: STREAMS_PER_LINK,
      send: (bytes) => duplex.write(bytes) || true,
      onOpen: (open) => this.dispatcher.dispatch(open, "host"),
      onFatal: () => {},
    });
    this.mux = mux;
    duplex.once("close", () => {
      if (this.mux === mux) this.mux = undefined;
    });
  }
}

/** A disk in memory, for guests whose disk nobody looks at. */
class MapDisk implements FakeGuestDisk {
  readonly #entries = new Map<string, string>();

  read(key: string): string | undefined {
    return this.#entries.get(key);
  }

  write(key: string, value: string): void {
    this.#entries.set(key, value);
  }
}
