/**
 * A message is declared once with `request` or `channel`; its type, validator, dispatch key and the callers
 * allowed to use it come from that value. Unknown keys from a peer are ignored (a newer peer may send more).
 */
import * as z from "zod";

/** Who may open a stream of this name at the acceptor. hostd enforces it; the gateway never reads names. */
export type Caller = "session" | "preview" | "host" | "guest";

export const openEnvelope = z.object({ name: z.string().min(1).max(64), params: z.unknown() });

export interface RequestDefinition<P extends z.ZodType = z.ZodType, R extends z.ZodType = z.ZodType> {
  readonly kind: "request";
  readonly name: string;
  readonly callers: readonly Caller[];
  readonly params: P;
  readonly result: R;
}

export interface ChannelDefinition<
  P extends z.ZodType = z.ZodType,
  R extends z.ZodType = z.ZodType,
  FromOpener extends z.ZodType = z.ZodType,
  FromAcceptor extends z.ZodType = z.ZodType,
> {
  readonly kind: "channel";
  readonly name: string;
  readonly callers: readonly Caller[];
  readonly params: P;
  readonly result: R;
  /** Events each side may send; `z.never()` for none. */
  readonly openerEvent: FromOpener;
  readonly acceptorEvent: FromAcceptor;
}

export type MessageDefinition = RequestDefinition | ChannelDefinition;

/** One question, one answer. */
export function request<P extends z.ZodType, R extends z.ZodType>(
  name: string,
  definition: Omit<RequestDefinition<P, R>, "kind" | "name">,
): RequestDefinition<P, R> {
  return { kind: "request", name, ...definition };
}

/** An answer, then bytes and events both ways until END or RESET. */
export function channel<P extends z.ZodType, R extends z.ZodType, O extends z.ZodType, A extends z.ZodType>(
  name: string,
  definition: Omit<ChannelDefinition<P, R, O, A>, "kind" | "name">,
): ChannelDefinition<P, R, O, A> {
  return { kind: "channel", name, ...definition };
}

/** What the other end of a stream may send: a request's answerer and a side without events send no events. */
export function isPlainFrom(definition: MessageDefinition, sender: "opener" | "acceptor"): boolean {
  if (definition.kind === "request") return true;
  const events = sender === "opener" ? definition.openerEvent : definition.acceptorEvent;
  return events instanceof z.ZodNever;
}

export type ParamsOf<D extends MessageDefinition> = z.input<D["params"]>;
export type ParsedParamsOf<D extends MessageDefinition> = z.output<D["params"]>;
export type ResultOf<D extends MessageDefinition> = z.output<D["result"]>;
export type OpenerEventOf<D extends ChannelDefinition> = z.output<D["openerEvent"]>;
export type AcceptorEventOf<D extends ChannelDefinition> = z.output<D["acceptorEvent"]>;
