/** One change of a disk at a time; others wait in order. */
export class DiskTurns {
  readonly #last = new Map<string, Promise<unknown>>();

  run<T>(diskId: string, work: () => Promise<T>): Promise<T> {
    const before = this.#last.get(diskId) ?? Promise.resolve();
    const mine = before.then(work, work);
    const settled = mine.catch(() => {});
    this.#last.set(diskId, settled);
    void settled.then(() => {
      if (this.#last.get(diskId) === settled) this.#last.delete(diskId);
    });
    return mine;
  }
}
