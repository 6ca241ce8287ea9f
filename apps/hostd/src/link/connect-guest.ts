/**
 * The host's side of link-handshake.ts on one byte stream. It writes the token and HELLO, drops everything until the
 * nonce, and checks the answer. Bytes written while the guest has no reader may be lost, so an unanswered HELLO is
 * repeated with a new nonce at growing intervals. A repeat may cross a late answer: where the first HELLO changes the
 * token, an answer to any of them shows that the agent waits for the new token now, and one more HELLO with that token
 * starts clean behind whatever the others left in the stream.
 */
import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { type Clock, systemClock } from "@atoll/base/clock";
import { deferred } from "@atoll/base/deferred";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError } from "@atoll/protocol/atoll-error";
import { encodeFrame, FrameKind } from "@atoll/protocol/frame";
import { decodeJson, encodeJson } from "@atoll/protocol/json-payload";
import { ENTROPY_BYTES, FRAME_HEADER_BYTES, LINK_TOKEN_BYTES } from "@atoll/protocol/limits";
import { type LinkHello, type LinkHelloAnswer, linkHelloAnswer } from "@atoll/protocol/link-handshake";
import { OLDEST_GENERATION, PROTOCOL_GENERATION } from "@atoll/protocol/version";

export interface ConnectGuestOptions {
  duplex: Duplex;
  /** What the agent waits for now, hex. */
  expectedToken: string;
  /** What it shall wait for from now on, hex. */
  linkToken: string;
  reason: LinkHello["reason"];
  identity: LinkHello["identity"];
  egress: LinkHello["egress"];
  /** The caller lets the guest's programs go on, by `core.thaw`, once this resolved. */
  holds?: boolean;
  timeoutMs: number;
  signal?: AbortSignal | undefined;
  clock?: Clock;
}

export interface GuestConnection {
  answer: LinkHelloAnswer;
  /** Bytes already read behind the agent's HELLO: they belong to the mux. */
  early: Uint8Array;
}

/** A restored guest answers in 50 ms, on a busy host in a second or two. */
const FIRST_RETRY_MS = 3000;
const RETRY_MAX_MS = 15_000;
/**
 * A guest whose clock may be further off is not used. It set its clock from a HELLO: one that lay unread gave it the time
 * of when it was written. A second one, with reason `reconnect`, sets it again; that does less and so is answered sooner.
 */
const CLOCK_OFFSET_MAX_MS = 1000;

/**
 * The stream stays the caller's, paused, also on failure.
 * @throws AtollError link.lost, link.protocol, link.too_old, request.timeout
 */
export async function connectGuest(options: ConnectGuestOptions): Promise<GuestConnection> {
  const { duplex, clock = systemClock } = options;
  const found = deferred<GuestConnection>();
  const reader = new AnswerReader();
  let cancelRetry = () => {};
  let newest: Sent | undefined;
  let isReseeded = false;
  let { reason, expectedToken } = options;
  const send = (retryMs: number) => {
    cancelRetry();
    const nonce = randomBytes(LINK_TOKEN_BYTES);
    newest = { nonce, atMs: clock.monotonic() };
    reader.expect(nonce);
    const hello: LinkHello = {
      type: "host",
      generation: { oldest: OLDEST_GENERATION, newest: PROTOCOL_GENERATION },
      reason,
      nonce: nonce.toString("hex"),
      linkToken: options.linkToken,
      hostTimeMs: clock.now(),
      entropy: randomBytes(ENTROPY_BYTES).toString("hex"),
      identity: options.identity,
      egress: options.egress,
      ...(options.holds ? { holds: true as const } : {}),
    };
    const frame = encodeFrame({ kind: FrameKind.hello, flags: 0, streamId: 0, payload: encodeJson(hello) });
    duplex.write(Buffer.concat([Buffer.from(expectedToken, "hex"), frame]));
    cancelRetry = clock.schedule(retryMs, () => send(Math.min(retryMs * 2, RETRY_MAX_MS)));
  };
  const sendAgain = () => {
    reason = "reconnect";
    expectedToken = options.linkToken;
    send(FIRST_RETRY_MS);
  };
  const onAnswer = ({ nonce, payload, early }: ReadAnswer) => {
    const answer = checkAnswer(payload, reason);
    isReseeded ||= answer.isReseeded;
    const isNewest = newest !== undefined && nonce.equals(newest.nonce);
    const ageMs = clock.monotonic() - (newest?.atMs ?? 0);
    if (isNewest && ageMs + Math.abs(answer.clockOffsetMs) <= CLOCK_OFFSET_MAX_MS) {
      duplex.off("data", onData).pause();
      found.resolve({ answer: { ...answer, isReseeded }, early });
      return;
    }
    // An older answer under an unchanged token: the newest HELLO is on its way and will be answered too.
    if (isNewest || expectedToken !== options.linkToken) sendAgain();
    onData(early);
  };
  const onData = (chunk: Buffer) => {
    try {
      const read = reader.push(chunk);
      if (read !== undefined) onAnswer(read);
    } catch (error) {
      found.reject(error);
    }
  };
  const onLost = (cause?: Error) =>
    found.reject(new AtollError("link.lost", "guest stream closed", { cause }));
  duplex.on("data", onData).on("error", onLost).on("close", onLost).on("end", onLost);
  // A stream that was paused before, as one that was dialled is, does not flow again by itself.
  duplex.resume();
  try {
    send(FIRST_RETRY_MS);
    return await withDeadline(found.promise, {
      timeoutMs: options.timeoutMs,
      clock,
      signal: options.signal,
      onTimeout: () => new AtollError("vm.agent_silent", "the guest agent did not answer"),
    });
  } finally {
    cancelRetry();
    duplex.off("data", onData).off("error", onLost).off("close", onLost).off("end", onLost).pause();
  }
}

function checkAnswer(payload: Uint8Array, reason: LinkHello["reason"]): LinkHelloAnswer {
  const parsed = linkHelloAnswer.safeParse(decodeJson(payload));
  if (!parsed.success) {
    throw new AtollError("link.protocol", "the agent answered out of shape", { cause: parsed.error });
  }
  const answer = parsed.data;
  if (answer.generation < OLDEST_GENERATION || answer.generation > PROTOCOL_GENERATION) {
    throw new AtollError("link.too_old", `the agent speaks generation ${answer.generation}`);
  }
  if (reason !== "reconnect" && !answer.isReseeded) {
    throw new AtollError("link.protocol", "the guest kernel took no entropy");
  }
  if (answer.isNamed === false || answer.isThawed === false) {
    const what = answer.isNamed === false ? "took no name" : "does not go on";
    throw new AtollError("link.protocol", `the guest ${what}`);
  }
  if (!(Math.abs(answer.clockOffsetMs) <= CLOCK_OFFSET_MAX_MS)) {
    throw new AtollError("link.protocol", `the guest clock is off by ${answer.clockOffsetMs} ms`);
  }
  return answer;
}

interface Sent {
  nonce: Buffer;
  /** Monotonic. */
  atMs: number;
}

interface ReadAnswer {
  nonce: Buffer;
  payload: Uint8Array;
  early: Buffer;
}

/** HELLOs that may still be answered; a guest that lets more go by is not coming. */
const OUTSTANDING_MAX = 32;

/** Finds one of the expected nonces at any chunk boundary, then takes exactly one HELLO frame. Holds at most one frame. */
class AnswerReader {
  readonly #nonces: Buffer[] = [];
  #held: Buffer = Buffer.alloc(0);
  #found: Buffer | undefined;

  expect(nonce: Buffer): void {
    this.#nonces.push(nonce);
    if (this.#nonces.length > OUTSTANDING_MAX) this.#nonces.shift();
  }

  /** What lies behind an answer is the caller's, to be read on or pushed again. */
  push(chunk: Buffer): ReadAnswer | undefined {
    this.#held = Buffer.concat([this.#held, chunk]);
    this.#found ??= this.#find();
    if (this.#found === undefined) {
      this.#held = this.#held.subarray(Math.max(0, this.#held.length - LINK_TOKEN_BYTES + 1));
      return undefined;
    }
    if (this.#held.length < FRAME_HEADER_BYTES) return undefined;
    if (this.#held[0] !== FrameKind.hello || this.#held.readUInt32BE(4) !== 0) {
      throw new AtollError("link.protocol", "something else came behind the nonce");
    }
    const end = FRAME_HEADER_BYTES + this.#held.readUInt16BE(2);
    if (this.#held.length < end) return undefined;
    const payload = this.#held.subarray(FRAME_HEADER_BYTES, end);
    const early = this.#held.subarray(end);
    const nonce = this.#found;
    this.#found = undefined;
    this.#held = Buffer.alloc(0);
    return { nonce, payload, early };
  }

  /** Leaves in `#held` what follows the nonce that comes first. */
  #find(): Buffer | undefined {
    let first: { nonce: Buffer; at: number } | undefined;
    for (const nonce of this.#nonces) {
      const at = this.#held.indexOf(nonce);
      if (at !== -1 && (first === undefined || at < first.at)) first = { nonce, at };
    }
    if (first === undefined) return undefined;
    this.#held = this.#held.subarray(first.at + LINK_TOKEN_BYTES);
    return first.nonce;
  }
}
