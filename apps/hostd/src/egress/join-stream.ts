import { once } from "node:events";
import type { Socket } from "node:net";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { MuxStream } from "@atoll/protocol/mux-stream";

/** `sent`: from the guest to the outside. */
export type CountBytes = (direction: "sent" | "received", count: number) => void;

/**
 * Passes bytes both ways until both ended; each direction ends on its own (half-close), and each waits for its slower
 * side. Leaves neither behind: a failure of one ends the other.
 */
export async function joinStream(stream: MuxStream, socket: Socket, count: CountBytes): Promise<void> {
  const abort = new AbortController();
  const onSocketGone = () => {
    abort.abort();
    // A socket that was cut is no proper end: the program in the guest must see a reset.
    if (!socket.readableEnded || !socket.writableFinished)
      stream.reset(new AtollError("stream.reset", "outside cut"));
  };
  socket.once("close", onSocketGone);
  void stream.closed.then((error) => {
    if (error !== undefined) socket.destroy();
  });
  try {
    await Promise.all([toSocket(), toStream()]);
  } catch (error) {
    socket.destroy();
    throw error;
  } finally {
    socket.off("close", onSocketGone);
  }

  async function toSocket(): Promise<void> {
    for await (const item of stream) {
      if (item.kind !== "data") continue;
      count("sent", item.bytes.length);
      if (!socket.write(item.bytes)) await once(socket, "drain", { signal: abort.signal });
    }
    await new Promise<void>((resolve, reject) => {
      const onClose = () => (socket.writableFinished ? resolve() : reject(new AtollError("stream.reset")));
      socket.once("close", onClose);
      socket.end(() => {
        socket.off("close", onClose);
        resolve();
      });
    });
  }

  async function toStream(): Promise<void> {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      count("received", chunk.length);
      await stream.write(chunk);
    }
    stream.end();
  }
}
