import type { Socket } from "node:net";
import { AtollError } from "@atoll/protocol/atoll-error";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import { whenDrained } from "../system/when-drained.ts";

/**
 * Joins a socket (opened with `allowHalfOpen`) and a stream until both directions ended. Either side's slow reader
 * holds the other side's writer; an error on one side is a reset on the other. Resolves when it is over.
 */
export async function joinSocket(socket: Socket, stream: MuxStream): Promise<void> {
  if (socket.destroyed) return stream.reset(new AtollError("request.aborted"));
  const socketClosed = new Promise<void>((resolve) => socket.once("close", resolve));
  socket.on("error", () => stream.reset(new AtollError("stream.reset", "the connection broke")));
  socket.on("data", (chunk) => {
    if (stream.writableBytes >= chunk.length) void stream.write(chunk).catch(() => socket.destroy());
    else {
      socket.pause();
      stream.write(chunk).then(
        () => socket.resume(),
        () => socket.destroy(),
      );
    }
  });
  socket.on("end", () => stream.end());
  void stream.closed.then((error) => {
    if (error !== undefined) socket.resetAndDestroy();
  });
  try {
    for await (const item of stream) {
      if (item.kind !== "data") throw new AtollError("request.invalid", "no events are expected");
      if (!socket.write(item.bytes)) await whenDrained(socket);
    }
    socket.end();
  } catch (error) {
    socket.destroy();
    if (!stream.isOver) throw error;
  }
  await socketClosed;
}
