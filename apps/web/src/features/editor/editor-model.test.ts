import { ManualClock } from "@atoll/base/manual-clock";
import { AtollError } from "@atoll/protocol/atoll-error";
import { filesList, filesRead, filesStat, filesWatch, filesWrite } from "@atoll/protocol/messages/files";
import { describe, expect, it } from "vitest";
import { Connection } from "../connection/connection.ts";
import { FileClient } from "../files/file-client.ts";
import { FolderWatch } from "../files/folder-watch.ts";
import { FakeHost } from "../testing/fake-host.ts";
import { EditorModel } from "./editor-model.ts";
import type { TextBuffer } from "./text-buffer.ts";

/** The agent's file messages over a map, spoken through real frames. */
function fakeMachine(host: FakeHost) {
  const files = new Map<string, string>();
  const entry = (path: string) => {
    const text = files.get(path);
    if (text === undefined) throw new AtollError("file.not_found");
    const sizeBytes = new TextEncoder().encode(text).length;
    return {
      name: path,
      kind: "file" as const,
      sizeBytes,
      modifiedAtMs: 0,
      mode: 0o644,
      version: `v:${text}`,
    };
  };
  const watched: string[] = [];
  let tell: (path: string) => void = () => {};
  host.agent.onRequest(filesStat, ({ path }) => entry(path));
  host.agent.onRequest(filesList, () => ({ entries: [], isTruncated: false }));
  host.agent.onChannel(filesRead, async ({ path }, stream) => {
    stream.sendReply({ entry: entry(path) });
    await stream.write(new TextEncoder().encode(files.get(path)));
  });
  host.agent.onChannel(filesWrite, async ({ path, expect: expected }, stream) => {
    const present = files.get(path);
    if (typeof expected === "object" && `v:${present}` !== expected.version)
      throw new AtollError("file.conflict");
    if (expected === "absent" && present !== undefined) throw new AtollError("file.exists");
    let text = "";
    for await (const item of stream) if (item.kind === "data") text += new TextDecoder().decode(item.bytes);
    files.set(path, text);
    stream.sendReply({ entry: entry(path) });
  });
  host.agent.onChannel(filesWatch, async ({ paths }, stream) => {
    watched.push(...paths);
    stream.sendReply({});
    tell = (path) => void stream.sendEvent({ type: "changes", changes: [{ path, kind: "changed" }] });
    for await (const item of stream) {
      const value = item.kind === "event" ? (item.value as { type: string; path: string }) : undefined;
      if (value) watched.push(`${value.type} ${value.path}`);
    }
  });
  return { files, watched, change: (path: string) => tell(path) };
}

function plainBuffer(first: string): TextBuffer {
  const versions = [first];
  let text = first;
  const listeners: Array<() => void> = [];
  return {
    getText: () => text,
    setText(next) {
      text = next;
      if (!versions.includes(next)) versions.push(next);
      for (const listener of listeners) listener();
    },
    versionToken: () => versions.indexOf(text),
    onDidChange: (listener) => void listeners.push(listener),
    dispose: () => {},
  };
}

async function setup() {
  const host = new FakeHost();
  const machine = fakeMachine(host);
  const clock = new ManualClock();
  const connection = new Connection({
    openTransport: host.openTransport,
    fetchTicket: async () => "t",
    tabId: "00000000-0000-4000-8000-000000000001",
    clock,
    random: () => 0.5,
  });
  const drafts = {
    list: async () => [],
    get: async () => undefined,
    put: async () => {},
    remove: async () => {},
  };
  const editor = new EditorModel({
    connection,
    files: new FileClient(connection),
    watch: new FolderWatch(connection),
    drafts,
    createBuffer: async (_path, text) => plainBuffer(text),
    clock,
  });
  connection.start();
  await host.accepts();
  const names = () => editor.state.get().documents.map(({ path }) => path.split("/").at(-1));
  const activeName = () => editor.state.get().active?.path.split("/").at(-1);
  return { host, machine, clock, editor, names, activeName };
}

describe("editor", () => {
  it("opens a file once, and shows its neighbour when it is closed", async () => {
    const { host, machine, editor, names, activeName } = await setup();
    for (const name of ["a", "b", "c"]) machine.files.set(`/workspace/${name}`, name);
    for (const name of ["a", "b", "c", "b"]) editor.open(`/workspace/${name}`);
    await host.settled();
    expect({ names: names(), active: activeName() }).toEqual({ names: ["a", "b", "c"], active: "b" });
    await editor.close(editor.open("/workspace/b"));
    expect({ names: names(), active: activeName() }).toEqual({ names: ["a", "c"], active: "c" });
    editor.step(1);
    expect(activeName()).toBe("a");
    expect(machine.watched).toEqual(["add /workspace"]);
  });

  it("takes up a change that another program made", async () => {
    const { host, machine, editor } = await setup();
    machine.files.set("/workspace/a", "one");
    const document = editor.open("/workspace/a");
    await host.settled();
    machine.files.set("/workspace/a", "two");
    machine.change("/workspace/a");
    await host.settled();
    await host.settled();
    expect(document.buffer?.getText()).toBe("two");
  });

  it("saves what was typed while the connection was lost as soon as it is back", async () => {
    const { host, machine, clock, editor } = await setup();
    machine.files.set("/workspace/a", "one");
    const document = editor.open("/workspace/a");
    await host.settled();
    host.cut(new AtollError("link.lost"));
    document.buffer?.setText("typed offline");
    await document.save();
    expect(editor.hasUnsaved).toBe(true);
    clock.advance(400);
    await host.accepts();
    await host.settled();
    expect(machine.files.get("/workspace/a")).toBe("typed offline");
    expect(editor.hasUnsaved).toBe(false);
  });

  it("asks before closing what cannot be saved", async () => {
    const { host, machine, editor, names } = await setup();
    machine.files.set("/workspace/a", "one");
    const document = editor.open("/workspace/a");
    await host.settled();
    host.cut(new AtollError("link.lost"));
    document.buffer?.setText("two");
    await editor.close(document);
    expect(editor.state.get().closing).toBe(document);
    expect(names()).toEqual(["a"]);
    await editor.discardAndClose();
    expect(names()).toEqual([]);
  });

  it("follows a renamed folder without bringing the old one back", async () => {
    const { host, machine, editor, names, activeName } = await setup();
    for (const name of ["x", "src/a", "y"]) machine.files.set(`/workspace/${name}`, "text");
    for (const name of ["x", "src/a", "y"]) editor.open(`/workspace/${name}`);
    await host.settled();
    await editor.saveWithin("/workspace/src");
    machine.files.delete("/workspace/src/a");
    machine.files.set("/workspace/lib/a", "text");
    machine.change("/workspace/src/a");
    await host.settled();
    editor.follow("/workspace/src", "/workspace/lib");
    await host.settled();
    expect(editor.state.get().documents.map(({ path }) => path)).toEqual([
      "/workspace/x",
      "/workspace/lib/a",
      "/workspace/y",
    ]);
    expect({ names: names(), active: activeName() }).toEqual({ names: ["x", "a", "y"], active: "y" });
    await editor.saveAll();
    expect(machine.files.has("/workspace/src/a")).toBe(false);
  });
});
