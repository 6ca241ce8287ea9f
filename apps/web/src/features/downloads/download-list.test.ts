import { deferred } from "@atoll/base/deferred";
import { AtollError } from "@atoll/protocol/atoll-error";
import { filesRead } from "@atoll/protocol/messages/files";
import { filesPack } from "@atoll/protocol/messages/views";
import { describe, expect, it, vi } from "vitest";
import { linked } from "../testing/linked.ts";
import { DownloadList } from "./download-list.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const entry = (sizeBytes: number) => ({
  name: "a",
  kind: "file" as const,
  sizeBytes,
  modifiedAtMs: 0,
  mode: 0o644,
  version: "1",
});

function memory() {
  const parts: string[] = [];
  const sink = {
    write: vi.fn(async (chunk: Uint8Array) => void parts.push(new TextDecoder().decode(chunk))),
    finish: vi.fn(async () => {}),
    abandon: vi.fn(async () => {}),
  };
  return { sink, openSink: vi.fn(async () => sink), text: () => parts.join("") };
}

const first = (list: DownloadList) => list.state.get().downloads[0];

describe("downloads", () => {
  it("bring a file whole", async () => {
    const { connection } = await linked((host) =>
      host.agent.onChannel(filesRead, async (_params, stream) => {
        stream.sendReply({ entry: entry(6) });
        await stream.write(bytes("abc"));
        await stream.write(bytes("def"));
      }),
    );
    const to = memory();
    const list = new DownloadList({ connection, openSink: to.openSink });
    await list.file("/view/workspace/a.txt");
    expect(to.openSink).toHaveBeenCalledWith("a.txt", 6);
    expect(to.text()).toBe("abcdef");
    expect(to.sink.finish).toHaveBeenCalledOnce();
    expect(first(list)).toMatchObject({ phase: "done", receivedBytes: 6, totalBytes: 6 });
    connection.close();
  });

  it("leave no file that looks whole and is not", async () => {
    const { connection } = await linked((host) => {
      host.agent.onChannel(filesRead, async (_params, stream) => {
        stream.sendReply({ entry: entry(6) });
        await stream.write(bytes("abc"));
      });
      host.agent.onChannel(filesPack, async (_params, stream) => {
        stream.sendReply({});
        await stream.write(bytes("half a zip"));
      });
    });
    const to = memory();
    const list = new DownloadList({ connection, openSink: to.openSink });
    await list.file("/view/workspace/a.txt");
    await list.zip("/view/workspace/src", "src.zip");
    expect(list.state.get().downloads.map(({ phase, error }) => [phase, error?.code])).toEqual([
      ["failed", "stream.reset"],
      ["failed", "stream.reset"],
    ]);
    expect(to.sink.finish).not.toHaveBeenCalled();
    expect(to.sink.abandon).toHaveBeenCalledTimes(2);
    connection.close();
  });

  it("pack a folder under its own name and tell what could not be read", async () => {
    const asked: unknown[] = [];
    const { connection } = await linked((host) =>
      host.agent.onChannel(filesPack, async (params, stream) => {
        asked.push(params);
        stream.sendReply({});
        await stream.write(bytes("zip"));
        await stream.sendEvent({ type: "packed", skippedCount: 2 });
      }),
    );
    const to = memory();
    const list = new DownloadList({ connection, openSink: to.openSink });
    await list.zip("/view/workspace/src", "src.zip");
    await list.zip("/view", "disk.zip");
    expect(asked).toEqual([
      { root: "/view/workspace", paths: ["src"], format: "zip" },
      { root: "/view", paths: ["."], format: "zip" },
    ]);
    expect(first(list)).toMatchObject({ phase: "done", skippedCount: 2, name: "src.zip" });
    connection.close();
  });

  it("stop when they are cancelled, and with the dialog", async () => {
    const closed = deferred<void>();
    const { host, connection } = await linked((fake) =>
      fake.agent.onChannel(filesPack, async (_params, stream) => {
        stream.sendReply({});
        await stream.write(bytes("zip"));
        await stream.closed;
        closed.resolve();
      }),
    );
    const to = memory();
    const list = new DownloadList({ connection, openSink: to.openSink });
    const over = list.zip("/view/workspace", "all.zip");
    await host.settled();
    list.cancel(1);
    await over;
    await closed.promise;
    expect(to.sink.abandon).toHaveBeenCalledOnce();
    const none = new DownloadList({ connection, openSink: async () => undefined });
    await none.zip("/view/workspace", "all.zip");
    expect([first(list)?.phase, first(none)?.phase]).toEqual(["cancelled", "cancelled"]);
    connection.close();
  });

  it("fail by name when the machine says no or the link is lost", async () => {
    const { host, connection } = await linked((fake) =>
      fake.agent.onChannel(filesRead, async () => {
        throw new AtollError("file.denied");
      }),
    );
    const list = new DownloadList({ connection, openSink: memory().openSink });
    await list.file("/view/workspace/a.txt");
    host.cut(new AtollError("link.lost"));
    await list.file("/view/workspace/a.txt");
    expect(list.state.get().downloads.map(({ error }) => error?.code)).toEqual(["file.denied", "link.lost"]);
    connection.close();
  });
});
