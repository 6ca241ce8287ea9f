/** Pauses one source while any of several reasons holds. */
export class ReadGate<Reason extends string> {
  readonly #source: { pause(): void; resume(): void };
  readonly #reasons = new Set<Reason>();

  constructor(source: { pause(): void; resume(): void }) {
    this.#source = source;
  }

  close(reason: Reason): void {
    const wasOpen = this.#reasons.size === 0;
    this.#reasons.add(reason);
    if (wasOpen) this.#source.pause();
  }

  open(reason: Reason): void {
    if (this.#reasons.delete(reason) && this.#reasons.size === 0) this.#source.resume();
  }

  isClosedFor(reason: Reason): boolean {
    return this.#reasons.has(reason);
  }
}
