import type { AtollError } from "./atoll-error.ts";
import type { IncomingOpen, MuxOptions } from "./mux.ts";
import { Mux } from "./mux.ts";

export interface MuxPairOptions {
  onServerOpen?: (open: IncomingOpen) => void;
  onClientOpen?: (open: IncomingOpen) => void;
  maxStreams?: number;
}

/** Two muxes joined in memory, each chunk delivered in a later microtask. For tests of anything that speaks frames. */
export function muxPair(options: MuxPairOptions = {}): {
  client: Mux;
  server: Mux;
  fatal: AtollError[];
  cut: (error: AtollError) => void;
} {
  const fatal: AtollError[] = [];
  let isCut = false;
  const deliver = (target: () => Mux) => (bytes: Uint8Array) => {
    queueMicrotask(() => {
      if (!isCut) target().receive(bytes);
    });
    return true;
  };
  const base = {
    maxStreams: options.maxStreams ?? 64,
    onFatal: (error: AtollError) => void fatal.push(error),
  };
  const refuse = () => {};
  const clientOptions: MuxOptions = {
    ...base,
    side: "client",
    send: deliver(() => server),
    onOpen: options.onClientOpen ?? refuse,
  };
  const serverOptions: MuxOptions = {
    ...base,
    side: "server",
    send: deliver(() => client),
    onOpen: options.onServerOpen ?? refuse,
  };
  const client = new Mux(clientOptions);
  const server = new Mux(serverOptions);
  return {
    client,
    server,
    fatal,
    cut: (error) => {
      isCut = true;
      client.lost(error);
      server.lost(error);
    },
  };
}

declare function queueMicrotask(run: () => void): void;
