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

/** The agent's end of the link in memory: the real handshake and mux, with a counter for a process that goes on. */
export class FakeGuest {
  expectedToken = FIRST_LINK_TOKEN;
  hellos: LinkHello[] = [];
  counter = 0;
  isFrozen = false;
  /** What the next handshakes answer; `undefined` answers nothing. */
  answer: Partial<LinkHelloAnswer> | undefined = {};
  /** What core.quiesce does. */
  quiesce: () => Promise<{ frozen: boolean }> | { frozen: boolean } = () => ({ frozen: true });
  onShutdown = () => {};
  mux: Mux | undefined;
  #pending = Buffer.alloc(0);
  readonly #dispatcher = new Dispatcher(() => {});

  constructor() {
    this.#dispatcher.onRequest(corePing, () => ({ uptimeMs: 1 }));
    this.#dispatcher.onRequest(coreQuiesce, async () => {
      const result = await this.quiesce();
      this.isFrozen = result.frozen;
      return result;
    });
    this.#dispatcher.onRequest(coreThaw, () => {
      this.isFrozen = false;
      return {};
    });
    this.#dispatcher.onRequest(coreShutdown, () => {
      queueMicrotask(() => this.onShutdown());
      return {};
    });
    this.#dispatcher.onChannel(processRun, async (_params, stream) => {
      stream.sendReply({ pid: 40 + this.counter++ });
      for await (const item of stream) if (item.kind === "data") await stream.write(item.bytes);
      await stream.sendEvent({ type: "exit", exitCode: 0, signal: null, isTimedOut: false });
    });
    this.#dispatcher.onChannel(portsConnect, async (_params, stream) => {
      stream.sendReply({});
      for await (const item of stream) if (item.kind === "data") await stream.write(item.bytes);
    });
  }

  /** A stream the host just opened. Replaces the one before. */
  attach(duplex: Duplex): void {
    this.mux = undefined;
    this.#pending = Buffer.alloc(0);
    duplex.on("error", () => {});
    duplex.on("data", (chunk: Buffer) => this.#receive(duplex, chunk));
  }

  #receive(duplex: Duplex, chunk: Buffer): void {
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

  #helloReceived(duplex: Duplex, hello: LinkHello): void {
    this.hellos.push(hello);
    if (this.answer === undefined) return;
    this.expectedToken = hello.linkToken;
    this.isFrozen = false;
    const answer: LinkHelloAnswer = {
      type: "agent",
      generation: 1,
      agentVersion: "fake",
      bootId: "boot",
      isReseeded: true,
      clockOffsetMs: 3,
      ...this.answer,
    };
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
      onOpen: (open) => this.#dispatcher.dispatch(open, "host"),
      onFatal: () => {},
    });
    this.mux = mux;
    duplex.once("close", () => {
      if (this.mux === mux) this.mux = undefined;
    });
  }
}
