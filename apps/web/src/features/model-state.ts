/** What a model shows the world: one immutable value and a signal when it was replaced. Knows no view. */
export class ModelState<S extends object> {
  #value: S;
  readonly #listeners = new Set<() => void>();

  constructor(initial: S) {
    this.#value = initial;
  }

  readonly get = (): S => this.#value;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  update(patch: Partial<S>): void {
    this.#value = { ...this.#value, ...patch };
    for (const listener of [...this.#listeners]) listener();
  }
}
