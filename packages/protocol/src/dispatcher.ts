import { AtollError, toAtollError } from "./atoll-error.ts";
import {
  type Caller,
  type ChannelDefinition,
  isPlainFrom,
  type MessageDefinition,
  type ParsedParamsOf,
  type RequestDefinition,
  type ResultOf,
} from "./message.ts";
import type { IncomingOpen } from "./mux.ts";
import type { MuxStream } from "./mux-stream.ts";

type Serve = (params: unknown, incoming: IncomingOpen) => void;

/** Answers incoming streams by name: parses, calls the handler, maps errors. Unknown names are `link.too_old`. */
export class Dispatcher {
  readonly #routes = new Map<string, { definition: MessageDefinition; serve: Serve }>();
  readonly #onFault: (error: AtollError, name: string) => void;

  /** `onFault` sees errors that are ours (`internal`), for the log. */
  constructor(onFault: (error: AtollError, name: string) => void) {
    this.#onFault = onFault;
  }

  /** `stream.closed` tells a handler that its caller gave up. */
  onRequest<D extends RequestDefinition>(
    definition: D,
    handle: (params: ParsedParamsOf<D>, stream: MuxStream) => Promise<ResultOf<D>> | ResultOf<D>,
  ): void {
    this.#add(definition, async (params, stream) => {
      const result = await handle(params as ParsedParamsOf<D>, stream);
      if (stream.isOver) return;
      stream.sendReply(result);
      stream.end();
    });
  }

  /** The handler sends the reply itself; when it returns the stream is ended, when it throws it is reset. */
  onChannel<D extends ChannelDefinition>(
    definition: D,
    handle: (params: ParsedParamsOf<D>, stream: MuxStream) => Promise<void>,
  ): void {
    this.#add(definition, async (params, stream) => {
      await handle(params as ParsedParamsOf<D>, stream);
      stream.end();
    });
  }

  /** @param caller who is at the other end; a message not declared for it is refused. */
  dispatch(incoming: IncomingOpen, caller: Caller): void {
    const route = this.#routes.get(incoming.name);
    if (route === undefined)
      return incoming.refuse(new AtollError("link.too_old", `no handler for ${incoming.name}`));
    if (!route.definition.callers.includes(caller)) return incoming.refuse(new AtollError("auth.forbidden"));
    const params = route.definition.params.safeParse(incoming.params);
    if (!params.success) {
      const field = params.error.issues[0]?.path.join(".") ?? "";
      return incoming.refuse(new AtollError("request.invalid", params.error.message, { details: { field } }));
    }
    route.serve(params.data, incoming);
  }

  #add(definition: MessageDefinition, run: (params: unknown, stream: MuxStream) => Promise<void>): void {
    if (this.#routes.has(definition.name)) throw new TypeError(`${definition.name} has a handler already`);
    const isPlain = isPlainFrom(definition, "opener");
    this.#routes.set(definition.name, {
      definition,
      serve: (params, incoming) => {
        const stream = incoming.accept({ isPlain });
        run(params, stream).catch((cause: unknown) => {
          // A stream already over: its end was the peer's wish or the link's, not a fault of the handler.
          if (stream.isOver) return;
          const error = toAtollError(cause);
          if (error.code === "internal") this.#onFault(error, definition.name);
          stream.reset(error);
        });
      },
    });
  }
}
