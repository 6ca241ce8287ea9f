/** The raw connection to the host under a link: it may lose its other end and get a new one at any time. */
export interface BytePipe {
  /** After a disconnect another host may come on the same pipe. */
  readonly canReturn: boolean;
  /** Takes all of `bytes`, which are valid during the call only. False: some wait here for room; write no more until `onDrain`. */
  write(bytes: Uint8Array): boolean;
  /** Drops what waits for room. */
  discard(): void;
  close(): void;
}

export interface BytePipeListener {
  /** `chunk` belongs to the listener. */
  onBytes(chunk: Uint8Array): void;
  onDrain(): void;
  /** The host left. */
  onDisconnect(): void;
}

export type ListenToPipe = (pipe: BytePipe) => BytePipeListener;
