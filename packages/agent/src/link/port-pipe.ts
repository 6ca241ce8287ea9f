import type { GuestNative, Port } from "../../native/guest-native.ts";
import type { BytePipe, BytePipeListener, ListenToPipe } from "./byte-pipe.ts";

const READ_BYTES = 64 * 1024;
/** Reads in one turn before others get theirs; the port's readiness is edge-triggered, so a rest needs a turn of its own. */
const READS_PER_TURN = 16;

/** The virtio-serial port: one for the life of the VM, the host behind it comes and goes. */
export class PortPipe implements BytePipe {
  readonly canReturn = true;
  readonly #native: GuestNative;
  readonly #port: Port;
  readonly #listener: BytePipeListener;
  readonly #target = new Uint8Array(READ_BYTES);
  #waiting: Uint8Array[] = [];
  #isConnected = false;
  #isReading = false;
  #isClosed = false;

  constructor(native: GuestNative, path: string, listen: ListenToPipe) {
    this.#native = native;
    this.#port = native.openPort(path, (isConnected) => this.#onReady(isConnected));
    this.#listener = listen(this);
  }

  write(bytes: Uint8Array): boolean {
    if (this.#waiting.length > 0) {
      this.#waiting.push(bytes.slice());
      return false;
    }
    const rest = this.#writeSome(bytes);
    if (rest.length === 0) return true;
    this.#waiting.push(rest.slice());
    return false;
  }

  discard(): void {
    this.#waiting = [];
  }

  close(): void {
    this.#isClosed = true;
    this.#native.closePort(this.#port);
  }

  #onReady(isConnected: boolean): void {
    if (this.#isClosed) return;
    // Reading comes first: what a host wrote before it left is still there.
    this.#read();
    if (this.#isConnected && !isConnected) {
      this.discard();
      this.#listener.onDisconnect();
    }
    this.#isConnected = isConnected;
    this.#writeWaiting();
  }

  #read(): void {
    if (this.#isReading) return;
    for (let turn = 0; turn < READS_PER_TURN && !this.#isClosed; turn++) {
      const count = this.#native.readPort(this.#port, this.#target);
      if (count <= 0) return;
      this.#listener.onBytes(this.#target.slice(0, count));
    }
    this.#isReading = true;
    setImmediate(() => {
      this.#isReading = false;
      if (!this.#isClosed) this.#read();
    });
  }

  #writeWaiting(): void {
    if (this.#waiting.length === 0) return;
    while (this.#waiting.length > 0) {
      const rest = this.#writeSome(this.#waiting[0] as Uint8Array);
      if (rest.length > 0) {
        this.#waiting[0] = rest;
        return;
      }
      this.#waiting.shift();
    }
    this.#listener.onDrain();
  }

  /** Returns what found no room. */
  #writeSome(bytes: Uint8Array): Uint8Array {
    let rest = bytes;
    while (rest.length > 0 && !this.#isClosed) {
      const count = this.#native.writePort(this.#port, rest);
      if (count <= 0) break;
      rest = rest.subarray(count);
    }
    return rest;
  }
}
