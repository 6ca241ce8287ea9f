import type { GuestPlace } from "./guest-folder.ts";

const turns = new Map<string, Promise<void>>();

/** Lets one operation at a time look at an entry and then change it, so that of two saves one sees the other. */
export async function withTurn<T>(place: GuestPlace, run: () => Promise<T>): Promise<T> {
  const { dev, ino } = await place.folder.handle.stat();
  const key = `${dev}:${ino}/${place.name}`;
  const before = turns.get(key) ?? Promise.resolve();
  const result = before.then(run);
  const done = result.then(
    () => {},
    () => {},
  );
  turns.set(key, done);
  try {
    return await result;
  } finally {
    if (turns.get(key) === done) turns.delete(key);
  }
}
