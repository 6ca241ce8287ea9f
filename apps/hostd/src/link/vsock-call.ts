/**
 * What a guest calls once its vsock driver is up: port 1025 of its host, which Firecracker and vhost-user-vsock connect to
 * the Unix socket `<their socket>_1025`. A host dials only then. Sooner, Firecracker lets the dialler wait, and
 * vhost-device-vsock ends its worker for good if the CONNECT comes after the guest's memory and before its rings (seen
 * with QEMU's messages slowed down: the thread `vring_worker` is gone, and nothing is answered any more).
 */
import { once } from "node:events";
import { createServer } from "node:net";
import type { Clock } from "@atoll/base/clock";
import { withDeadline } from "@atoll/base/with-deadline";
import { AtollError } from "@atoll/protocol/atoll-error";

const CALL_PORT = 1025;

export class VsockCall implements AsyncDisposable {
  readonly #server = createServer((socket) => {
    socket.on("error", () => {}).destroy();
    this.#called.resolve();
  });
  readonly #called = Promise.withResolvers<void>();

  private constructor() {}

  /** Before the machine starts: it calls once. The folder is the owner's, who removes what is left of the socket. */
  static async listen(socketPath: string): Promise<VsockCall> {
    const call = new VsockCall();
    call.#server.listen(`${socketPath}_${CALL_PORT}`);
    await once(call.#server, "listening");
    return call;
  }

  /** @throws AtollError link.lost when no call came in time */
  arrived(options: { timeoutMs: number; clock: Clock; signal?: AbortSignal }): Promise<void> {
    const onTimeout = () => new AtollError("link.lost", "the guest did not call");
    return withDeadline(this.#called.promise, { ...options, onTimeout });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const closed = once(this.#server, "close");
    this.#server.close();
    await closed;
  }
}
