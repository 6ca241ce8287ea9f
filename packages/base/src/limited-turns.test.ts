import { describe, expect, it } from "vitest";
import { LimitedTurns } from "./limited-turns.ts";

const settled = () => new Promise((resolve) => setImmediate(resolve));

function begun() {
  const turns = new LimitedTurns({ atOnce: 2 });
  const order: string[] = [];
  const ends = new Map<string, () => void>();
  const start = (name: string, signal: AbortSignal = new AbortController().signal) =>
    turns.run(name.charAt(0), signal, async () => {
      order.push(name);
      await new Promise<void>((resolve) => ends.set(name, resolve));
    });
  const end = async (name: string) => {
    ends.get(name)?.();
    await settled();
  };
  return { start, end, order };
}

describe("limited turns", () => {
  it("lets so many run at once, and the next when one ends, however it ends", async () => {
    const { start, end, order } = begun();
    void start("a1");
    void start("b1");
    void start("c1");
    void start("d1");
    await settled();
    expect(order).toEqual(["a1", "b1"]);
    await end("b1");
    expect(order).toEqual(["a1", "b1", "c1"]);
    const turns = new LimitedTurns({ atOnce: 1 });
    const { signal } = new AbortController();
    await expect(turns.run("a", signal, () => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await turns.run("a", signal, async () => "next")).toBe("next");
  });

  it("takes the owner with the fewest under way, and the first of those", async () => {
    const { start, end, order } = begun();
    for (const name of ["a1", "a2", "a3", "a4", "b1"]) void start(name);
    await settled();
    await end("a1");
    expect(order).toEqual(["a1", "a2", "b1"]);
    await end("b1");
    expect(order).toEqual(["a1", "a2", "b1", "a3"]);
  });

  it("forgets who gave up waiting", async () => {
    const { start, end, order } = begun();
    void start("a1");
    void start("b1");
    const abort = new AbortController();
    const given = start("c1", abort.signal);
    void start("d1");
    abort.abort(new Error("gone"));
    await expect(given).rejects.toThrow("gone");
    await end("a1");
    expect(order).toEqual(["a1", "b1", "d1"]);
    await expect(start("e1", abort.signal)).rejects.toThrow("gone");
  });
});
