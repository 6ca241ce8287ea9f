import { randomUUID } from "node:crypto";
import { AtollError } from "@atoll/protocol/atoll-error";
import { filesPack, filesUnpack, viewMount } from "@atoll/protocol/messages/views";
import type { MuxStream } from "@atoll/protocol/mux-stream";
import { pino } from "pino";
import { expect, it } from "vitest";
import { FakeHost } from "../testing/fake-host.ts";
import type { FakeMachine } from "../testing/fake-machine.ts";
import { restorePaths } from "./restore-paths.ts";
import { ViewRegistry } from "./view-registry.ts";

type Serve = (stream: MuxStream) => Promise<void>;

/** A running workspace with a checkpoint; how its guest unpacks and the view's packs is the test's. */
async function start(guests: { pack: Serve; unpack: Serve }) {
  const host = await FakeHost.start();
  const asked: unknown[] = [];
  const teach = ({ guest: { dispatcher } }: FakeMachine) => {
    dispatcher.onRequest(viewMount, () => ({ isRepaired: false }));
    dispatcher.onChannel(filesPack, async (params, stream) => {
      asked.push(params);
      stream.sendReply({});
      await guests.pack(stream);
    });
    dispatcher.onChannel(filesUnpack, async (params, stream) => {
      asked.push(params);
      stream.sendReply({});
      await guests.unpack(stream);
    });
  };
  host.source.onMachine = teach;
  const views = new ViewRegistry({
    source: host.source,
    createOutbound: () => host.outbound,
    clock: host.clock,
    logger: pino({ level: "silent" }),
  });
  const workspace = await host.create({ idlePauseSeconds: 3600 });
  const checkpointId = randomUUID();
  await workspace.checkpoint(checkpointId, { name: "one", withMemory: false });
  return {
    host,
    asked,
    views,
    workspace,
    restore: (paths: string[], signal?: AbortSignal) =>
      restorePaths(views, workspace, { checkpointId, paths, signal, clock: host.clock }),
    async [Symbol.asyncDispose]() {
      await views[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
    },
  };
}

const CONTENT = Buffer.alloc(700_000, "abc");
const packAll =
  (skippedCount = 0): Serve =>
  async (stream) => {
    await stream.write(CONTENT);
    await stream.sendEvent({ type: "packed", skippedCount });
  };

it("streams the view's archive into the running workspace", async () => {
  const received: Uint8Array[] = [];
  await using one = await start({
    pack: packAll(2),
    unpack: async (stream) => {
      for await (const item of stream) if (item.kind === "data") received.push(item.bytes);
      await stream.sendEvent({ type: "unpacked" });
    },
  });
  expect(await one.restore(["/workspace/a", "/home/dev/b/", "/"])).toEqual({
    restoredBytes: CONTENT.length,
    skippedCount: 2,
  });
  expect(Buffer.concat(received).equals(CONTENT)).toBe(true);
  expect(one.asked).toEqual([
    { root: "/view", paths: ["workspace/a", "home/dev/b", "."], format: "tar" },
    { root: "/" },
  ]);
});

it("fails as the unpacking did, and ends the packing", async () => {
  const packed = Promise.withResolvers<AtollError | undefined>();
  await using one = await start({
    pack: async (stream) => {
      void stream.closed.then(packed.resolve);
      for (;;) await stream.write(CONTENT);
    },
    unpack: async (stream) => {
      for await (const _item of stream) throw new AtollError("file.no_space");
    },
  });
  await expect(one.restore(["/workspace"])).rejects.toMatchObject({ code: "file.no_space" });
  expect(await packed.promise).toBeDefined();
});

it("leaves a half archive unfinished when the packing fails", async () => {
  const unpacked = Promise.withResolvers<AtollError | undefined>();
  await using one = await start({
    pack: async (stream) => {
      await stream.write(CONTENT);
      throw new AtollError("checkpoint.damaged");
    },
    unpack: async (stream) => {
      void stream.closed.then(unpacked.resolve);
      for await (const _item of stream) {
        // Takes what comes.
      }
      await stream.sendEvent({ type: "unpacked" });
    },
  });
  await expect(one.restore(["/workspace"])).rejects.toMatchObject({ code: "checkpoint.damaged" });
  expect(await unpacked.promise).toBeDefined();
});

it("stops when its caller does, when either side hangs, and when nothing runs", async () => {
  const isPacking = Promise.withResolvers<void>();
  await using one = await start({
    pack: async (stream) => {
      isPacking.resolve();
      await stream.closed;
    },
    unpack: async (stream) => {
      await stream.closed;
    },
  });
  const abort = new AbortController();
  const aborted = one.restore(["/workspace"], abort.signal);
  await isPacking.promise;
  abort.abort(new AtollError("request.aborted"));
  await expect(aborted).rejects.toMatchObject({ code: "request.aborted" });
  const hanging = one.restore(["/workspace"]);
  hanging.catch(() => {});
  await expect.poll(() => one.asked.length).toBe(4);
  // In steps, so that the links' own pings are answered.
  for (let passedMs = 0; passedMs <= 120_000; passedMs += 5000) {
    for (let turn = 0; turn < 5; turn++) await new Promise((resolve) => setImmediate(resolve));
    one.host.clock.advance(5000);
  }
  await expect(hanging).rejects.toMatchObject({ code: "request.timeout" });
  await one.workspace.stop("requested");
  await expect(one.restore(["/workspace"])).rejects.toMatchObject({ code: "workspace.not_running" });
});
