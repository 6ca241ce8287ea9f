import { expect, test } from "vitest";
import { Shelf, type ShelfOptions } from "./shelf.ts";

interface Item {
  name: string;
  spoils: PromiseWithResolvers<void>;
}

function shelfOf(overrides: Partial<ShelfOptions<string, Item>> = {}) {
  const made: string[] = [];
  const discarded: string[] = [];
  const faults: unknown[] = [];
  const shelf = new Shelf<string, Item>({
    make: async (kind) => {
      const name = `${kind}${made.length}`;
      made.push(name);
      return { name, spoils: Promise.withResolvers<void>() };
    },
    discard: async ({ name }) => void discarded.push(name),
    spoilt: ({ spoils }) => spoils.promise,
    onFault: (error) => faults.push(error),
    ...overrides,
  });
  const names = () => shelf.items.map(({ name }) => name);
  const filled = async () => {
    shelf.refill();
    await shelf.settled();
    return names();
  };
  return { shelf, made, discarded, faults, names, filled };
}

test("each kind is kept at its highest target, oldest given first, and made up for when told", async () => {
  const { shelf, filled, names } = shelfOf();
  shelf.keep("a", "a", 2);
  shelf.keep("b", "b", 1);
  shelf.keep("a", "a", 1);
  expect(names()).toEqual([]);
  expect(await filled()).toEqual(["a0", "a1", "b2"]);
  expect(shelf.take("a")?.name).toBe("a0");
  expect([shelf.take("b")?.name, shelf.take("b"), shelf.take("c")]).toEqual(["b2", undefined, undefined]);
  expect(names()).toEqual(["a1"]);
  expect(await filled()).toEqual(["a1", "a3", "b4"]);
});

test("makes one at a time, however often it is told to", async () => {
  let making = 0;
  const { shelf, filled } = shelfOf({
    make: async (kind) => {
      expect(++making).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      making--;
      return { name: kind, spoils: Promise.withResolvers<void>() };
    },
  });
  shelf.keep(1, "a", 3);
  shelf.refill();
  expect(await filled()).toHaveLength(3);
});

test("a failure is told, ends the refill and is tried again at the next", async () => {
  let isBroken = true;
  const { shelf, filled, faults } = shelfOf({
    make: async (name) => {
      if (isBroken) throw new Error("no room");
      return { name, spoils: Promise.withResolvers<void>() };
    },
  });
  shelf.keep("a", "a", 1);
  expect(await filled()).toEqual([]);
  expect(faults).toEqual([new Error("no room")]);
  isBroken = false;
  expect(await filled()).toEqual(["a"]);
  expect(faults).toHaveLength(1);
});

test("what spoils is discarded once, unless somebody has taken it", async () => {
  const { shelf, discarded, filled, names } = shelfOf();
  shelf.keep("a", "a", 2);
  await filled();
  const [first, second] = shelf.items as [Item, Item];
  expect(shelf.take("a")).toBe(first);
  first.spoils.resolve();
  second.spoils.resolve();
  await expect.poll(() => discarded).toEqual([second.name]);
  expect(names()).toEqual([]);
});

test("what is spoilt when it is made does not stay", async () => {
  const { shelf, discarded } = shelfOf({ spoilt: async () => {} });
  shelf.keep("a", "a", 1);
  shelf.refill();
  await expect.poll(() => discarded.length).toBe(1);
  expect(shelf.items).toEqual([]);
});

test("closing waits for what is being made, discards everything, and makes nothing more", async () => {
  const going = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const { shelf, discarded, made } = shelfOf({
    make: async (name) => {
      made.push(name);
      begun.resolve();
      await going.promise;
      return { name, spoils: Promise.withResolvers<void>() };
    },
  });
  shelf.keep("a", "a", 3);
  shelf.refill();
  await begun.promise;
  let isClosed = false;
  const closing = shelf[Symbol.asyncDispose]().then(() => {
    isClosed = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect(isClosed).toBe(false);
  going.resolve();
  await closing;
  shelf.refill();
  await shelf.settled();
  expect([made, discarded, shelf.items, shelf.take("a")]).toEqual([["a"], ["a"], [], undefined]);
});

test("of kinds that are asked for those asked for last are kept, beside what is always kept", async () => {
  const { shelf, discarded, filled, names } = shelfOf({ askedForMax: 2 });
  shelf.keep(0, "always", 1);
  shelf.keepAskedFor(1, "a", 1);
  shelf.keepAskedFor(2, "b", 1);
  expect(await filled()).toEqual(["always0", "a1", "b2"]);
  shelf.keepAskedFor(1, "a", 1);
  shelf.keepAskedFor(3, "c", 1);
  expect([names(), discarded]).toEqual([["always0", "a1"], ["b2"]]);
  expect(await filled()).toEqual(["always0", "a1", "c3"]);
});

test("what is kept no more is discarded, also one that is being made", async () => {
  const gate = Promise.withResolvers<void>();
  const discarded: string[] = [];
  const { shelf, filled } = shelfOf({
    make: async (kind) => {
      if (kind === "b") await gate.promise;
      return { name: kind, spoils: Promise.withResolvers<void>() };
    },
    discard: async ({ name }) => void discarded.push(name),
    askedForMax: 1,
  });
  shelf.keepAskedFor(1, "a", 2);
  expect(await filled()).toEqual(["a", "a"]);
  shelf.keepAskedFor(2, "b", 1);
  expect(discarded).toEqual(["a", "a"]);
  shelf.refill();
  shelf.keepAskedFor(3, "c", 0);
  gate.resolve();
  expect(await filled()).toEqual([]);
  expect(discarded).toEqual(["a", "a", "b"]);
});

test("forgetting a kind ends when none of it is left, also none that is being made, until it is kept again", async () => {
  const gate = Promise.withResolvers<void>();
  const begun = Promise.withResolvers<void>();
  const { shelf, discarded, filled, names } = shelfOf({
    make: async (kind) => {
      if (names().length === 1) {
        begun.resolve();
        await gate.promise;
      }
      return { name: kind, spoils: Promise.withResolvers<void>() };
    },
  });
  shelf.keep(1, "a", 2);
  shelf.refill();
  await begun.promise;
  let isForgotten = false;
  const forgetting = shelf.forget(1).then(() => {
    isForgotten = true;
  });
  await new Promise((resolve) => setImmediate(resolve));
  expect([names(), discarded, isForgotten]).toEqual([[], ["a"], false]);
  gate.resolve();
  await forgetting;
  expect([await filled(), discarded, shelf.kinds]).toEqual([[], ["a", "a"], []]);
  shelf.keep(1, "a", 1);
  expect(await filled()).toEqual(["a"]);
});

test("makes what there is room for, and the rest once there is", async () => {
  let room = 1;
  const { shelf, filled } = shelfOf({ mayMake: (kind) => kind !== "a" || shelf.items.length < room });
  shelf.keep(1, "a", 2);
  expect(await filled()).toEqual(["a0"]);
  room = 2;
  expect(await filled()).toEqual(["a0", "a1"]);
});
