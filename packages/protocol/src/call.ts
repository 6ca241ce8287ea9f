import { type Clock, systemClock } from "@atoll/base/clock";
import { withDeadline } from "@atoll/base/with-deadline";
import type { z } from "zod";
import { AtollError } from "./atoll-error.ts";
import {
  type AcceptorEventOf,
  type ChannelDefinition,
  isPlainFrom,
  type OpenerEventOf,
  type ParamsOf,
  type RequestDefinition,
  type ResultOf,
} from "./message.ts";
import type { Mux } from "./mux.ts";
import type { MuxStream } from "./mux-stream.ts";

export interface CallOptions {
  /** For the answer; a channel's later traffic has no deadline here. */
  timeoutMs?: number;
  signal?: AbortSignal | undefined;
  clock?: Clock;
}

const DEFAULT_TIMEOUT_MS = 30_000;

export type ChannelItem<E> =
  | { kind: "data"; bytes: Uint8Array; isSecondary: boolean }
  | { kind: "event"; value: E };

/** A channel seen from its opener. */
export interface OpenChannel<D extends ChannelDefinition> {
  readonly result: ResultOf<D>;
  readonly stream: MuxStream;
  items(): AsyncGenerator<ChannelItem<AcceptorEventOf<D>>>;
  sendEvent(event: z.input<D["openerEvent"]>): Promise<void>;
}

/** @throws AtollError of the peer, `request.timeout`, or the signal's reason. The stream never outlives the call. */
export async function call<D extends RequestDefinition>(
  mux: Mux,
  definition: D,
  params: ParamsOf<D>,
  options: CallOptions = {},
): Promise<ResultOf<D>> {
  const stream = mux.open(definition.name, params, { isPlain: isPlainFrom(definition, "acceptor") });
  try {
    const result = await awaitReply(stream, definition, options);
    stream.finish();
    return result;
  } catch (error) {
    if (!stream.isOver) stream.reset(new AtollError("request.aborted"));
    throw error;
  }
}

/** The caller owns the channel's stream: end or reset it. */
export async function openChannel<D extends ChannelDefinition>(
  mux: Mux,
  definition: D,
  params: ParamsOf<D>,
  options: CallOptions = {},
): Promise<OpenChannel<D>> {
  const stream = mux.open(definition.name, params, { isPlain: isPlainFrom(definition, "acceptor") });
  try {
    const result = await awaitReply(stream, definition, options);
    return {
      result,
      stream,
      items: () =>
        parseItems(stream, definition.acceptorEvent) as AsyncGenerator<ChannelItem<AcceptorEventOf<D>>>,
      sendEvent: (event) => stream.sendEvent(event),
    };
  } catch (error) {
    if (!stream.isOver) stream.reset(new AtollError("request.aborted"));
    throw error;
  }
}

/** The items of a stream with its events parsed by `schema`. A malformed event resets the stream. */
export async function* parseItems<S extends z.ZodType>(
  stream: MuxStream,
  schema: S,
): AsyncGenerator<ChannelItem<z.output<S>>> {
  for await (const item of stream) {
    yield item.kind === "data" ? item : parseEvent(stream, schema, item.value);
  }
}

/** The events an opener may send on `definition`, for its acceptor. */
export function openerItems<D extends ChannelDefinition>(
  stream: MuxStream,
  definition: D,
): AsyncGenerator<ChannelItem<OpenerEventOf<D>>> {
  return parseItems(stream, definition.openerEvent) as AsyncGenerator<ChannelItem<OpenerEventOf<D>>>;
}

/** `MuxStream.consume` with its events parsed. A malformed event resets the stream. */
export function consumeOpenerItems<D extends ChannelDefinition>(
  stream: MuxStream,
  definition: D,
  take: (item: ChannelItem<OpenerEventOf<D>>) => Promise<void> | undefined,
): Promise<void> {
  return stream.consume((item) =>
    take(
      (item.kind === "data" ? item : parseEvent(stream, definition.openerEvent, item.value)) as ChannelItem<
        OpenerEventOf<D>
      >,
    ),
  );
}

function parseEvent<S extends z.ZodType>(
  stream: MuxStream,
  schema: S,
  value: unknown,
): { kind: "event"; value: z.output<S> } {
  const parsed = schema.safeParse(value);
  if (parsed.success) return { kind: "event", value: parsed.data };
  const error = new AtollError("request.invalid", "malformed event", { cause: parsed.error });
  stream.reset(error);
  throw error;
}

async function awaitReply<D extends RequestDefinition | ChannelDefinition>(
  stream: MuxStream,
  definition: D,
  options: CallOptions,
): Promise<ResultOf<D>> {
  const reply = await withDeadline(stream.reply, {
    timeoutMs: options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
    clock: options.clock ?? systemClock,
    signal: options.signal,
    onTimeout: () => new AtollError("request.timeout", `${definition.name} got no answer`),
  });
  const parsed = definition.result.safeParse(reply);
  if (!parsed.success)
    throw new AtollError("link.protocol", `${definition.name} answered out of shape`, {
      cause: parsed.error,
    });
  return parsed.data as ResultOf<D>;
}
