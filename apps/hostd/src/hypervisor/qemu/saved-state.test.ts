import { setImmediate as nextTurn } from "node:timers/promises";
import { AtollError } from "@atoll/protocol/atoll-error";
import { expect, test } from "vitest";
import { CHUNK_BYTES } from "../../snapshots/seal.ts";
import { appendRuns, type GuestMemory, PAGE_BYTES, type PageRun, parseMaps } from "./guest-memory.ts";
import { readSavedState, writeSavedState } from "./saved-state.ts";

type Memory = Pick<GuestMemory, "read" | "readLater">;

const own = (page: number) => page % 251;

function memoryOf(content: (page: number) => number): Memory {
  const read = (first: number, target: Uint8Array) => {
    for (let page = 0; page * PAGE_BYTES < target.length; page++) {
      target.fill(content(first + page), page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
    }
  };
  return { read, readLater: async (first, target) => read(first, target) };
}

/** Each page is filled with its own number. */
async function written(runs: PageRun[], base?: Memory): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of writeSavedState(Buffer.from("devices"), memoryOf(own), { runs, base })) {
    // Goes into a sealed chunk as it is.
    expect(part.length).toBeLessThanOrEqual(CHUNK_BYTES);
    parts.push(part);
  }
  return Buffer.concat(parts);
}

async function read(bytes: Buffer, pieceBytes: number) {
  const pages = new Map<number, number>();
  const seen = { devices: "", pages };
  const stream = (async function* () {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const piece = Buffer.from(bytes.subarray(at, at + pieceBytes));
      yield piece;
      // Only lent: it is the reader's until it asks for the next.
      piece.fill(0xff);
    }
  })();
  await readSavedState(stream, {
    async onDevices(devices) {
      seen.devices = Buffer.from(devices).toString();
    },
    onPages(first, data) {
      expect(data.length % PAGE_BYTES).toBe(0);
      for (let page = 0; page * PAGE_BYTES < data.length; page++) {
        const content = data.subarray(page * PAGE_BYTES, (page + 1) * PAGE_BYTES);
        expect(content.every((byte) => byte === content[0])).toBe(true);
        pages.set(first + page, content[0] as number);
      }
    },
  });
  return seen;
}

const RUNS: PageRun[] = [
  { first: 0, count: 1 },
  { first: 7, count: 600 },
  { first: 131_000, count: 2 },
];

test.each([1_000_003, 4096, 65_537])(
  "pages come back in place from pieces of %i bytes",
  async (pieceBytes) => {
    const seen = await read(await written(RUNS), pieceBytes);
    expect(seen.devices).toBe("devices");
    const expected = RUNS.flatMap(({ first, count }) =>
      Array.from({ length: count }, (_, index) => first + index),
    );
    expect([...seen.pages]).toEqual(expected.map((page) => [page, page % 251]));
  },
);

test.each([
  { name: "here and there", differs: (page: number) => page % 7 < 2 },
  { name: "in every other page", differs: (page: number) => page % 2 === 0 },
  { name: "in one page late", differs: (page: number) => page === 131_001 },
  { name: "nowhere", differs: () => false },
])("pages that what it loads over has as well are left out: other $name", async ({ differs }) => {
  const base = memoryOf((page) => (differs(page) ? own(page) + 1 : own(page)));
  const whole = await read(await written(RUNS), 65_537);
  const seen = await read(await written(RUNS, base), 65_537);
  expect(seen.pages).toEqual(new Map([...whole.pages].filter(([page]) => differs(page))));
});

/** Of a guest whose every page differs; also what its pages were read into. */
function slowlyWritten(readBase: Memory["readLater"] = memoryOf((page) => own(page) + 1).readLater) {
  const targets: Uint8Array[] = [];
  const { read } = memoryOf(own);
  const readLater: Memory["readLater"] = async (first, target) => {
    targets.push(target);
    await nextTurn();
    read(first, target);
  };
  const base = { readLater: readBase };
  return {
    targets,
    state: writeSavedState(Buffer.from("devices"), { read, readLater }, { runs: RUNS, base }),
  };
}

/** Also of what is read into them late. */
async function areWiped(targets: Uint8Array[]): Promise<boolean> {
  await nextTurn();
  return targets.every((target) => target.every((byte) => byte === 0));
}

test.each([
  { name: "to its end", pieces: Number.POSITIVE_INFINITY },
  { name: "and given up", pieces: 2 },
])("what pages were compared in is wiped when the state is read $name", async ({ pieces }) => {
  const { state, targets } = slowlyWritten();
  let seen = 0;
  for await (const _ of state) if (++seen === pieces) break;
  expect(targets.length).toBeGreaterThan(2);
  expect(await areWiped(targets)).toBe(true);
});

test("a page that cannot be read while those before it are compared fails the state, all wiped", async () => {
  const { state, targets } = slowlyWritten(async (first) => {
    if (first > 500) throw new AtollError("vm.gone");
  });
  const reading = (async () => {
    for await (const _ of state) await nextTurn();
  })();
  await expect(reading).rejects.toMatchObject({ code: "vm.gone" });
  expect(await areWiped(targets)).toBe(true);
});

test("a guest that changed nothing is its devices alone", async () => {
  expect(await read(await written([]), 10)).toEqual({ devices: "devices", pages: new Map() });
});

test("anything cut, added or out of place is an invalid snapshot", async () => {
  const good = await written([{ first: 3, count: 2 }]);
  const changed = (at: number, byte: number) => {
    const bytes = Buffer.from(good);
    bytes[at] = byte;
    return bytes;
  };
  const pagesAt = 5 + "devices".length;
  for (const bytes of [
    Buffer.alloc(0),
    good.subarray(0, good.length - 1),
    good.subarray(0, pagesAt),
    Buffer.concat([good, Buffer.from([0])]),
    good.subarray(pagesAt),
    changed(0, 9),
    changed(1, 255),
    changed(pagesAt + 5, 255),
    changed(pagesAt + 5 + 4 + 7, 3),
    changed(pagesAt + 5 + 4 + 7, 1),
  ]) {
    await expect(read(bytes, 1000)).rejects.toMatchObject({ code: "snapshot.invalid" });
  }
});

test("changed pages are those the kernel copied away from the file", () => {
  const [present, swapped, file] = [1 << 31, 1 << 30, 1 << 29];
  const flags = [0, present, present | file, present, present, swapped | file, 0, present];
  const entries = Buffer.alloc(flags.length * 8);
  flags.forEach((flag, index) => {
    entries.writeUInt32LE(flag >>> 0, index * 8 + 4);
  });
  const runs: PageRun[] = [{ first: 99, count: 1 }];
  appendRuns(runs, entries, 100);
  expect(runs).toEqual([
    { first: 99, count: 1 },
    { first: 101, count: 1 },
    { first: 103, count: 3 },
    { first: 107, count: 1 },
  ]);
});

test("the RAM is found among a process's mappings by its inode", () => {
  const maps = [
    "555500000000-555500001000 r--p 00000000 fe:00 41 /usr/bin/qemu",
    "7f0000000000-7f0020000000 rw-p 00000000 fe:00 42 /files/ram",
    "7f0020000000-7f0040000000 rw-p 20000000 fe:00 42 /files/ram",
    "7f0050000000-7f0050001000 rw-p 00000000 00:00 0 [heap]",
  ].join("\n");
  expect(parseMaps(maps, 42n)).toEqual([
    { start: 0x7f0000000000, end: 0x7f0020000000, fileOffset: 0 },
    { start: 0x7f0020000000, end: 0x7f0040000000, fileOffset: 0x20000000 },
  ]);
});
